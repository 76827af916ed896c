// Package collect copies the static files of all sources into one folder, from which a web
// server or package static gives them out.
//
//	sources ─▶ survey (collisions) ─▶ names (hashes, references) ─▶ copies ─▶ siblings ─▶ manifest ─▶ clear
//
// It promises: nothing outside the folder is touched, and no symbolic link in it is
// followed; each file is there as it was or as it will be, never a part of it; the
// manifest gives a hashed name only after that file is there, so that a run that was killed leaves a
// folder that works and the next run mends the rest; what has not changed is not written;
// nothing is removed that an earlier run did not put there, but the compressed forms (.gz, .zst,
// .br) of a collected file are the collector's, whoever made them; two runs at once do not happen.
//
// It does not know where the sources come from, nor who serves the folder.
package collect

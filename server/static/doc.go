// Package static answers requests with files.
//
//	path of a request ─▶ prefix of a Place ─▶ name ─▶ Servable ─▶ os.Root ─▶ regular file ─▶ http.ServeContent
//
// It promises: what it gives out is a regular file inside the folder of a Place, whatever
// the path of the request says and wherever symbolic links in the folder lead; never by a name
// that begins with a dot (a link inside the folder is its owner's word), never a list of a folder, never a pipe or a
// device, and it waits for none. A path is decoded once, by whoever made the request, and
// never again here.
//
// It does not know what answers a request that it has no file for, and counts nothing.
package static

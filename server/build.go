package server

import (
	"runtime/debug"
)

// Version is ostler's own version, as `--version` prints it.
const Version = "0.1.0"

// buildID tells two builds of an application apart: the revision its
// repository was at, with a plus if files were changed since; without version
// control the main module's version.
func buildID() string {
	info, ok := debug.ReadBuildInfo()
	if !ok {
		return "unknown"
	}
	var revision, dirty string
	for _, s := range info.Settings {
		switch {
		case s.Key == "vcs.revision":
			revision = s.Value[:min(12, len(s.Value))]
		case s.Key == "vcs.modified" && s.Value == "true":
			dirty = "+"
		}
	}
	if revision != "" {
		return revision + dirty
	}
	return info.Main.Version
}

package config

import (
	"crypto/sha256"
	"fmt"
	"os"
	"path/filepath"
	"strconv"
	"strings"
)

// ControlPath names the control socket of a server that has neither control nor pidfile:
// one name per configuration file, in the user's own runtime directory, so that `stop
// --config shop.toml` finds what `--config shop.toml` started. It creates nothing: the
// server makes the directory, with mode 0700, and must refuse one that is not its own.
// An empty file names the server that runs on the embedded default.
func ControlPath(file string) string {
	return filepath.Join(runtimeDir(), controlName(file))
}

func runtimeDir() string {
	// The XDG specification wants a relative value ignored.
	if dir := os.Getenv("XDG_RUNTIME_DIR"); filepath.IsAbs(dir) {
		return filepath.Join(dir, "ostler")
	}
	uid := strconv.Itoa(os.Getuid())
	dir := filepath.Join("/run/user", uid)
	if info, err := os.Stat(dir); err == nil && info.IsDir() {
		return filepath.Join(dir, "ostler")
	}
	return filepath.Join(os.TempDir(), "ostler-"+uid)
}

// controlName is short (the kernel takes about 100 bytes for the whole path), legible in
// `ls`, and different for two files of the same name.
func controlName(file string) string {
	if file == "" {
		return "default.ctl"
	}
	abs, err := filepath.Abs(file)
	if err != nil {
		abs = file // the working directory is gone: nothing better is known
	}
	sum := sha256.Sum256([]byte(abs))
	base := strings.TrimSuffix(filepath.Base(abs), filepath.Ext(abs))
	return fmt.Sprintf("%.16s-%x.ctl", base, sum[:6])
}

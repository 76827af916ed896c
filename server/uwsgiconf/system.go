package uwsgiconf

import (
	"errors"
	"io"
	"io/fs"
	"os"
	"os/user"
	"path/filepath"
	"runtime"
	"strconv"
)

// System is what a configuration of uWSGI may ask about the machine it is for.
type System struct {
	Stat      func(path string) (fs.FileInfo, error)
	Open      func(path string) (fs.File, error)
	Glob      func(pattern string) ([]string, error)
	LookupEnv func(name string) (string, bool)

	Dir         string // the working directory
	Hostname    string
	CPUs        int
	UID, GID    string
	User, Group string
}

// ThisMachine is the system of the calling process.
func ThisMachine() System {
	s := System{
		Stat:      os.Stat,
		Open:      func(path string) (fs.File, error) { return os.Open(path) },
		Glob:      filepath.Glob,
		LookupEnv: os.LookupEnv,
		CPUs:      runtime.NumCPU(),
		UID:       strconv.Itoa(os.Getuid()),
		GID:       strconv.Itoa(os.Getgid()),
	}
	s.Dir, _ = os.Getwd()
	s.Hostname, _ = os.Hostname()
	s.User, s.Group = s.UID, s.GID
	if u, err := user.Current(); err == nil {
		s.User = u.Username
	}
	if g, err := user.LookupGroupId(s.GID); err == nil {
		s.Group = g.Name
	}
	return s
}

func (s System) abs(path string) string {
	if filepath.IsAbs(path) {
		return filepath.Clean(path)
	}
	return filepath.Join(s.Dir, path)
}

// read gives a regular file: opening a pipe would wait for whoever writes into it.
func (s System) read(path string) (string, error) {
	info, err := s.Stat(path)
	if err != nil {
		return "", plain(err)
	}
	if !info.Mode().IsRegular() {
		return "", errors.New("not a regular file")
	}
	f, err := s.Open(path)
	if err != nil {
		return "", plain(err)
	}
	defer f.Close()
	text, err := io.ReadAll(io.LimitReader(f, maxSource+1))
	if err != nil {
		return "", plain(err)
	}
	if len(text) > maxSource {
		return "", errors.New("larger than " + strconv.Itoa(maxSource>>10) + " KiB, this is not a configuration")
	}
	return string(text), nil
}

func (s System) exists(path string) bool {
	_, err := s.Stat(path)
	return err == nil
}

// plain drops the path from an error that is printed behind it.
func plain(err error) error {
	if p, ok := errors.AsType[*fs.PathError](err); ok {
		return p.Err
	}
	return err
}

package server

import (
	"fmt"
	"os"
	"os/user"
	"strconv"
	"strings"

	"github.com/seed17661985/ostler/master"
	"github.com/seed17661985/ostler/server/config"
)

// credential is the user that workers run as; nil leaves them the master's, also
// when that is the user that is asked for (User= of a systemd unit).
func credential(cfg config.Config) (*master.Credential, error) {
	if cfg.UID == "" && cfg.GID == "" {
		return nil, nil
	}
	uid, gid, groups, err := lookUpUser(cfg.UID)
	if err != nil {
		return nil, fmt.Errorf("uid: %w", err)
	}
	if cfg.GID != "" {
		if gid, err = lookUpGroup(cfg.GID); err != nil {
			return nil, fmt.Errorf("gid: %w", err)
		}
	}
	if int(uid) == os.Geteuid() && int(gid) == os.Getegid() {
		return nil, nil
	}
	if os.Geteuid() != 0 {
		return nil, fmt.Errorf("uid, gid: only root can run workers as %d:%d, and this is %d:%d", uid, gid, os.Geteuid(), os.Getegid())
	}
	return &master.Credential{Uid: uid, Gid: gid, Groups: groups}, nil
}

// lookUpUser takes a name or a number. A number without an account is allowed:
// containers are full of them. An empty name is the user that is running.
func lookUpUser(name string) (uid, gid uint32, groups []uint32, err error) {
	u, err := findUser(name)
	if err != nil {
		n, perr := strconv.ParseUint(name, 10, 32)
		if perr != nil {
			return 0, 0, nil, fmt.Errorf("no user %q on this machine", name)
		}
		return uint32(n), uint32(n), nil, nil
	}
	if uid, err = number(u.Uid); err != nil {
		return 0, 0, nil, err
	}
	if gid, err = number(u.Gid); err != nil {
		return 0, 0, nil, err
	}
	ids, err := u.GroupIds()
	if err != nil {
		return 0, 0, nil, fmt.Errorf("groups of user %q: %w", u.Username, err)
	}
	for _, id := range ids {
		g, err := number(id)
		if err != nil {
			return 0, 0, nil, err
		}
		groups = append(groups, g)
	}
	return uid, gid, groups, nil
}

func findUser(name string) (*user.User, error) {
	if name == "" {
		return user.Current()
	}
	if u, err := user.Lookup(name); err == nil {
		return u, nil
	}
	return user.LookupId(name)
}

func lookUpGroup(name string) (uint32, error) {
	if g, err := user.LookupGroup(name); err == nil {
		return number(g.Gid)
	}
	gid, err := number(name)
	if err != nil {
		return 0, fmt.Errorf("no group %q on this machine", name)
	}
	return gid, nil
}

func number(id string) (uint32, error) {
	n, err := strconv.ParseUint(id, 10, 32)
	return uint32(n), err
}

// socketOwner resolves chown-socket, "user[:group]"; -1 leaves what it is.
func socketOwner(s string) (uid, gid int, err error) {
	if s == "" {
		return -1, -1, nil
	}
	name, group, _ := strings.Cut(s, ":")
	uid, gid = -1, -1
	if name != "" {
		u, g, _, err := lookUpUser(name)
		if err != nil {
			return -1, -1, fmt.Errorf("chown-socket: %w", err)
		}
		uid, gid = int(u), int(g)
	}
	if group != "" {
		g, err := lookUpGroup(group)
		if err != nil {
			return -1, -1, fmt.Errorf("chown-socket: %w", err)
		}
		gid = int(g)
	}
	return uid, gid, nil
}

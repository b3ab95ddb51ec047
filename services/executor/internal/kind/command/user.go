package command

import (
	"fmt"
	"os/user"
	"strconv"
	"strings"
	"syscall"
)

// identity is who a command runs as.
type identity struct {
	name string              // for people
	cred *syscall.Credential // nil for the executor's own user
}

// identify finds a user of this machine, given as the catalog does, for an executor that runs as euid. Only root can become
// another user, and only a catalog that says so lets a command be root.
func identify(who string, root bool, euid int) (identity, error) {
	if who == "" {
		if euid == 0 && !root {
			return identity{}, fmt.Errorf("the executor is root: name a user, or say root: true")
		}
		return identity{name: nameOf(euid)}, nil
	}
	cred, name, err := find(who)
	switch {
	case err != nil:
		return identity{}, err
	case cred.Uid == 0 && !root:
		return identity{}, fmt.Errorf("user %s is root: that needs root: true", who)
	case euid == 0:
		return identity{name: name, cred: cred}, nil
	case int64(cred.Uid) != int64(euid):
		return identity{}, fmt.Errorf("the executor is not root and cannot become the user %s", who)
	}
	return identity{name: name}, nil
}

// find makes the credential of a name, uid or uid:gid. A uid:gid has no other groups, and need not be known.
func find(who string) (*syscall.Credential, string, error) {
	uid, gid, both := strings.Cut(who, ":")
	if both {
		u, err := number(uid)
		if err != nil {
			return nil, "", err
		}
		g, err := number(gid)
		return &syscall.Credential{Uid: u, Gid: g}, who, err
	}
	var known *user.User
	var err error
	if _, e := number(who); e == nil {
		known, err = user.LookupId(who)
	} else {
		known, err = user.Lookup(who)
	}
	if err != nil {
		return nil, "", fmt.Errorf("user %s: %w (a uid that has no name is written as uid:gid)", who, err)
	}
	cred := &syscall.Credential{}
	if cred.Uid, err = number(known.Uid); err != nil {
		return nil, "", err
	}
	if cred.Gid, err = number(known.Gid); err != nil {
		return nil, "", err
	}
	ids, err := known.GroupIds()
	if err != nil {
		return nil, "", fmt.Errorf("groups of user %s: %w", who, err)
	}
	for _, id := range ids {
		g, err := number(id)
		if err != nil {
			return nil, "", err
		}
		cred.Groups = append(cred.Groups, g)
	}
	return cred, known.Username, nil
}

func number(text string) (uint32, error) {
	n, err := strconv.ParseUint(text, 10, 31)
	if err != nil {
		return 0, fmt.Errorf("%q is no id of a user or group", text)
	}
	return uint32(n), nil
}

func nameOf(uid int) string {
	if u, err := user.LookupId(strconv.Itoa(uid)); err == nil {
		return u.Username
	}
	return strconv.Itoa(uid)
}

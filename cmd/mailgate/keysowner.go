package main

import (
	"errors"
	"fmt"
	"os"
	"os/user"
	"path/filepath"
	"strconv"
	"syscall"

	"mailgate/internal/config"
	"mailgate/internal/mail"
	"mailgate/internal/sign"
)

// keyPlace is where a new key file goes.
type keyPlace struct {
	file  string
	why   string // what makes it this place
	known bool   // the configuration names the file for this key already
}

// placeOfKey finds the place: the file that the configuration names for the key, its
// [keys] dir, beside the keys it has, or keys/ beside itself. Without a configuration
// it is the directory one is in.
func placeOfKey(cfg *config.Config, domain mail.Domain, selector string) keyPlace {
	name := fmt.Sprintf("%s.%s.pem", domain, selector)
	if cfg == nil {
		return keyPlace{file: name, why: "no configuration says where keys are"}
	}
	beside := ""
	for _, d := range cfg.Domains {
		for _, k := range d.Keys {
			switch ours := d.Signer() == domain; {
			case ours && k.Selector == selector:
				return keyPlace{file: k.File, why: "the configuration names it", known: true}
			case ours || beside == "":
				beside = filepath.Dir(k.File)
			}
		}
	}
	switch {
	case cfg.Keys.Dir != "":
		return keyPlace{file: filepath.Join(cfg.Keys.Dir, name), why: "[keys] dir"}
	case beside != "":
		return keyPlace{file: filepath.Join(beside, name), why: "beside the keys there are"}
	}
	return keyPlace{file: filepath.Join(filepath.Dir(cfg.Path), "keys", name), why: "beside the configuration"}
}

// keyOwner is who a new key file is given to.
type keyOwner struct {
	*sign.Owner // nil: it stays ours
	name        string
	why         string
}

// ownerOfKey finds the user the gateway runs as: the one named, or the owner of what
// the configuration names. Only root gives files away.
func ownerOfKey(cfg *config.Config, named string) (keyOwner, error) {
	if named != "" {
		return namedOwner(named)
	}
	if os.Geteuid() != 0 || cfg == nil {
		return keyOwner{}, nil
	}
	for _, from := range ownedBy(cfg) {
		info, err := os.Stat(from.path)
		if err != nil {
			continue
		}
		if stat, ok := info.Sys().(*syscall.Stat_t); ok && stat.Uid != 0 {
			return ownerWith(stat.Uid, stat.Gid, "as "+from.what+" "+from.path+" does"), nil
		}
	}
	return keyOwner{}, nil
}

// ownedPath is what tells by its owner whom the gateway runs as.
type ownedPath struct{ what, path string }

func ownedBy(cfg *config.Config) []ownedPath {
	var list []ownedPath
	for _, d := range cfg.Domains {
		for _, k := range d.Keys {
			list = append(list, ownedPath{"the key", k.File})
		}
	}
	if cfg.Keys.Dir != "" {
		list = append(list, ownedPath{"the key directory", cfg.Keys.Dir})
	}
	for _, d := range cfg.Domains {
		for _, k := range d.Keys {
			list = append(list, ownedPath{"the key directory", filepath.Dir(k.File)})
		}
	}
	return append(list, ownedPath{"the store", cfg.Store.Path}, ownedPath{"the store's directory", filepath.Dir(cfg.Store.Path)})
}

func namedOwner(name string) (keyOwner, error) {
	u, err := user.Lookup(name)
	if err != nil {
		u, err = user.LookupId(name)
	}
	if err != nil {
		return keyOwner{}, usageError(fmt.Errorf("--owner %s: no such user", name))
	}
	uid, uidErr := strconv.ParseUint(u.Uid, 10, 32)
	gid, gidErr := strconv.ParseUint(u.Gid, 10, 32)
	if err := errors.Join(uidErr, gidErr); err != nil {
		return keyOwner{}, usageError(fmt.Errorf("--owner %s: %w", name, err))
	}
	switch euid := os.Geteuid(); {
	case int(uid) == euid:
		return keyOwner{}, nil
	case euid != 0:
		return keyOwner{}, coded(exitNoPerm, fmt.Errorf("--owner %s: only root can give a key to another user: run this as root, or as %s", name, name))
	}
	return ownerWith(uint32(uid), uint32(gid), "--owner"), nil
}

func ownerWith(uid, gid uint32, why string) keyOwner {
	id := strconv.FormatUint(uint64(uid), 10)
	name := "uid " + id
	if u, err := user.LookupId(id); err == nil {
		name = u.Username
	}
	return keyOwner{Owner: &sign.Owner{UID: int(uid), GID: int(gid)}, name: name, why: why}
}

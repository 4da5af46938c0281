package main

import (
	"context"
	"errors"
	"fmt"
	"io"
	"io/fs"
	"os"
	"path/filepath"
	"syscall"
	"time"

	"mailgate/internal/config"
	"mailgate/internal/doctor"
	"mailgate/internal/sign"
	"mailgate/internal/web"
)

// gatewayUser is whom the gateway runs as, by the owner of its store, or of the store's
// directory; -1: not known.
func gatewayUser(cfg *config.Config) int {
	for _, path := range []string{cfg.Store.Path, filepath.Dir(cfg.Store.Path)} {
		if uid := ownerOf(path); uid >= 0 {
			return uid
		}
	}
	return -1
}

// keys reads every key file as the gateway would.
func (e *examination) keys() {
	sound := 0
	for _, d := range e.cfg.Domains {
		for _, k := range d.Keys {
			if r := e.key(d, k); r.Status != "" {
				e.add(r)
			} else {
				sound++
			}
		}
	}
	if sound > 0 {
		e.add(doctor.Result{Area: "keys", Code: "keys", Status: doctor.Pass, Text: count(sound, "key file", "key files") + " can be read, and by nobody else"})
	}
}

// key looks at one key; the result is empty if all is well.
func (e *examination) key(d config.Domain, k config.Key) doctor.Result {
	_, found, err := loaderFor(e.cfg)(k.File)
	unsafe, isUnsafe := errors.AsType[*sign.UnsafeError](err)
	about := fmt.Sprintf("%s, selector %s: ", d.Pattern, k.Selector)
	switch {
	case isUnsafe:
		return doctor.Result{Area: "keys", Code: "key-unsafe", Status: doctor.Fail, Text: about + unsafe.Path + " " + unsafe.Reason, Mend: []string{unsafe.Mend}}
	case errors.Is(err, fs.ErrPermission):
		return doctor.Result{Area: "keys", Code: "key-unreadable", Status: doctor.Unknown, Text: about + k.File + ": you may not read it", Mend: []string{"Run this as root."}}
	case errors.Is(err, fs.ErrNotExist):
		return doctor.Result{Area: "keys", Code: "key-missing", Status: doctor.Fail, Text: about + k.File + " is not there",
			Mend: []string{fmt.Sprintf("mailgate keys generate %s --selector %s --out %s    (or correct the path)", d.Signer(), k.Selector, doctor.Quote(k.File))}}
	case err != nil:
		return doctor.Result{Area: "keys", Code: "key-unusable", Status: doctor.Fail, Text: about + err.Error(),
			Mend: []string{fmt.Sprintf("Make another under a new selector: mailgate keys generate %s", d.Signer())}}
	}
	if owner := ownerOf(k.File); e.uid > 0 && owner != e.uid {
		return doctor.Result{Area: "keys", Code: "key-owner", Status: doctor.Fail,
			Text: fmt.Sprintf("%s%s belongs to another user than the store, so the gateway can't read it", about, k.File),
			Mend: []string{fmt.Sprintf("chown %d %s", e.uid, doctor.Quote(k.File))}}
	}
	if len(found) > 0 {
		return doctor.Result{Area: "keys", Code: "key-weak", Status: doctor.Warn, Text: about + found[0], Mend: []string{fmt.Sprintf("mailgate keys rotate %s", d.Signer())}}
	}
	return doctor.Result{}
}

// publishers looks whether what they need to be let in is there. Their hosts aren't
// asked.
func (e *examination) publishers() {
	for _, p := range e.cfg.Publishers {
		r := doctor.Result{Area: "publisher", Code: "publisher", Status: doctor.Pass, Text: p.Name + ": its secret is there"}
		_, err := openPublisher(p)
		unsafe, isUnsafe := errors.AsType[*sign.UnsafeError](err)
		switch {
		case isUnsafe:
			r.Code, r.Status, r.Text, r.Mend = "publisher-unsafe", doctor.Fail, p.Name+": "+unsafe.Path+" "+unsafe.Reason, []string{unsafe.Mend}
		case errors.Is(err, fs.ErrPermission):
			r.Code, r.Status, r.Text, r.Mend = "publisher-unreadable", doctor.Unknown, err.Error(), []string{"Run this as root."}
		case err != nil:
			r.Code, r.Status, r.Text = "publisher-unusable", doctor.Fail, err.Error()
			r.Mend = []string{"See docs/publishing.md for what each DNS host needs."}
		}
		e.add(r)
	}
}

func ownerOf(path string) int {
	info, err := os.Stat(path)
	if err != nil {
		return -1
	}
	if stat, ok := info.Sys().(*syscall.Stat_t); ok {
		return int(stat.Uid)
	}
	return -1
}

// statusTime is how long a gateway may take to answer: on a machine that is busy it runs
// all the same.
const statusTime = 30 * time.Second

// gateway asks the running gateway; it reports whether its doors are worth trying.
func (e *examination) gateway(ctx context.Context) bool {
	c, err := e.a.connect()
	if err != nil {
		return false
	}
	ctx, cancel := context.WithTimeout(ctx, statusTime)
	defer cancel()
	var s web.Status
	switch err := c.get(ctx, "/v1/status", nil, &s); {
	case err != nil && exitCode(err) == exitNoPerm:
		e.add(doctor.Result{Area: "gateway", Code: "gateway-not-permitted", Status: doctor.Unknown, Text: err.Error()})
		return true
	case err != nil:
		e.add(doctor.Result{Area: "gateway", Code: "gateway-not-running", Status: doctor.Fail, Text: fmt.Sprintf("no gateway answers at %s", c.socket),
			Mend: []string{fmt.Sprintf("mailgate serve --config %s    (or: systemctl start mailgate)", e.cfg.Path)}})
		return false
	}
	e.used = s.Store.Used
	r := doctor.Result{Area: "gateway", Code: "gateway", Status: doctor.Pass,
		Text: fmt.Sprintf("version %s, mode %s, up %s; %s", s.Version, s.Mode, age(e.now.Sub(s.Started)), storeLine(s.Store))}
	switch {
	case s.Store.Stopped || s.Store.Full:
		r.Code, r.Status, r.Mend = "gateway-store", doctor.Fail, []string{"See the log, and: mailgate store check"}
	case s.Version != version:
		r.Code, r.Status, r.Mend = "gateway-version", doctor.Warn, []string{fmt.Sprintf("This program is version %s: restart the gateway.", version)}
	case s.Config != e.cfg.Path:
		r.Code, r.Status = "gateway-configuration", doctor.Warn
		r.Text += fmt.Sprintf("; it runs with %s, not with %s", s.Config, e.cfg.Path)
	}
	e.add(r)
	return true
}

// store looks at the database's file only: what is in it is for `store check`.
func (e *examination) store() {
	path := e.cfg.Store.Path
	r := doctor.Result{Area: "store", Code: "store", Status: doctor.Pass}
	head, err := headOfFile(path, len(sqliteMagic))
	switch {
	case errors.Is(err, fs.ErrNotExist):
		r.Text = path + " is not there yet: the first start makes it"
		if _, err := os.Stat(filepath.Dir(path)); err != nil {
			r.Code, r.Status, r.Text = "store-directory", doctor.Fail, err.Error()
			r.Mend = []string{"Make it, for the user mailgate runs as: install -d -m 700 " + filepath.Dir(path)}
		}
	case errors.Is(err, fs.ErrPermission):
		r.Code, r.Status, r.Text, r.Mend = "store-unreadable", doctor.Unknown, path+": you may not read it", []string{"Run this as root."}
	case err != nil || head != "" && head != sqliteMagic:
		r.Code, r.Status, r.Text = "store-damaged", doctor.Fail, path+" is no database"
		r.Mend = []string{"Keep the file; then: mailgate store check, and see mailgate store backup --help for restoring."}
	default:
		info, _ := os.Stat(path)
		r.Text = path
		if info != nil && info.Mode().Perm()&0o077 != 0 {
			r.Code, r.Status = "store-open", doctor.Warn
			r.Text = fmt.Sprintf("%s can be read by others (mode %04o), and held mail is in it", path, info.Mode().Perm())
			r.Mend = []string{"chmod 600 " + doctor.Quote(path)}
		}
	}
	e.add(r)
}

const sqliteMagic = "SQLite format 3\x00"

func headOfFile(path string, n int) (string, error) {
	file, err := os.Open(path)
	if err != nil {
		return "", err
	}
	defer file.Close()
	head := make([]byte, n)
	read, err := io.ReadFull(file, head)
	if errors.Is(err, io.EOF) || errors.Is(err, io.ErrUnexpectedEOF) {
		err = nil
	}
	return string(head[:read]), err
}

// newest is the latest time that one of our files was written: the clock can't be
// before it.
func (e *examination) newest() time.Time {
	paths := []string{e.a.config}
	if e.cfg != nil {
		paths = append(paths, e.cfg.Store.Path)
		for _, d := range e.cfg.Domains {
			for _, k := range d.Keys {
				paths = append(paths, k.File)
			}
		}
	}
	if self, err := os.Executable(); err == nil {
		paths = append(paths, self)
	}
	var latest time.Time
	for _, path := range paths {
		if info, err := os.Stat(path); err == nil && info.ModTime().After(latest) {
			latest = info.ModTime()
		}
	}
	return latest.Add(-time.Minute) // files of a running gateway are newer than this moment
}

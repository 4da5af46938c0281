package doctor

import (
	"fmt"
	"path/filepath"
)

const (
	leastFree = 100 << 20 // bytes; below this mail will soon be answered 452
	wantFree  = 1 << 30
)

// room is what a file system has left.
type room struct {
	free     int64 // bytes
	readOnly bool
	noInode  bool
}

// Disk checks the room where the store is. Most is the bound on the store, 0 for none;
// size is what it takes now.
func Disk(path string, most, size int64) Result {
	dir := filepath.Dir(path)
	room, err := roomIn(dir)
	if err != nil {
		return Result{Area: "disk", Code: "disk-unknown", Status: Unknown, Text: fmt.Sprintf("%s: %v", dir, err),
			Mend: []string{"Make the directory of the store, for the user mailgate runs as: install -d -m 700 " + dir}}
	}
	free := room.free
	r := Result{Area: "disk", Code: "disk", Status: Pass, Text: fmt.Sprintf("%s: %s free", dir, sizeText(free))}
	mend := []string{"Make room, or set hold.max_bytes lower: then mailgate answers 452 before the disk is full."}
	switch {
	case room.readOnly:
		r.Code, r.Status, r.Text = "disk-read-only", Fail, dir+" is mounted read-only: no mail can be taken"
		r.Mend = []string{"mount -o remount,rw " + dir + "    (see dmesg for why the kernel did that)"}
	case room.noInode:
		r.Code, r.Status, r.Text, r.Mend = "disk-full", Fail, dir+": no inode is free: no mail can be taken", mend
	case free < leastFree:
		r.Code, r.Status, r.Mend = "disk-full", Fail, mend
		r.Text += ": mail will be answered 452"
	case free < wantFree:
		r.Code, r.Status, r.Mend = "disk-low", Warn, mend
	case most > 0 && free < most-size:
		r.Code, r.Status, r.Mend = "disk-smaller-than-store", Warn, mend
		r.Text += fmt.Sprintf(", less than the store may still grow (hold.max_bytes = %s)", sizeText(most))
	}
	return r
}

func sizeText(n int64) string {
	switch {
	case n >= 10<<30:
		return fmt.Sprintf("%d GiB", n>>30)
	case n >= 10<<20:
		return fmt.Sprintf("%d MiB", n>>20)
	}
	return fmt.Sprintf("%d KiB", n>>10)
}

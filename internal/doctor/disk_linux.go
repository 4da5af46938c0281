package doctor

import "golang.org/x/sys/unix"

func roomIn(dir string) (room, error) {
	var fs unix.Statfs_t
	if err := unix.Statfs(dir, &fs); err != nil {
		return room{}, err
	}
	return room{
		free:     int64(fs.Bavail) * fs.Bsize,
		readOnly: fs.Flags&unix.ST_RDONLY != 0,
		noInode:  fs.Files > 0 && fs.Ffree == 0,
	}, nil
}

//go:build unix

package models

import "golang.org/x/sys/unix"

// Evict tells the system that the mapped pages will not be read soon, so that
// they stop counting as memory of the process: after a session has copied them,
// for example. They are read again from the file when they are asked for.
func (c *Checkpoint) Evict() {
	c.mu.Lock()
	defer c.mu.Unlock()
	for _, m := range c.maps {
		if len(m) > 0 {
			unix.Madvise(m, unix.MADV_DONTNEED) // advice: nothing is lost if it is not taken
		}
	}
}

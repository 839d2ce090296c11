//go:build !unix

package models

// Evict does nothing where the system takes no such advice.
func (c *Checkpoint) Evict() {}

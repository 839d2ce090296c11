package ort

// explain comes next; see below.
func explain(err error) error { return err }

package ort

/*
#include "native.h"
*/
import "C"

import "sync"

var signals sync.Mutex // guards the C side's notes

// keepSignals calls load, which may load a provider's libraries, and puts the
// signal handlers back that they replaced. The Go runtime's own handlers stay
// in charge, so signal.Notify works on as before.
func keepSignals(load func() error) error {
	signals.Lock()
	defer signals.Unlock()
	C.sp_save_signals()
	defer C.sp_restore_signals()
	return load()
}

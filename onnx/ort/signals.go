package ort

/*
#include "native.h"
*/
import "C"

import "sync"

// The CUDA libraries replace signal handlers of the process, some when they
// are loaded and some in a run, by ones that do not switch to the stack that
// Go keeps for signals; the next signal then ends the program (onnxruntime_go
// #140). So NewSession notes the handlers before it loads a provider, and
// after that and after each run on a device, those that were replaced so are
// put back. The Go runtime stays in charge, and signal.Notify works as before.
var signals sync.Mutex // guards the notes, which native.c keeps

// keepSignals calls load, which may load a provider's libraries.
func keepSignals(load func() error) error {
	signals.Lock()
	C.sp_save_signals()
	signals.Unlock()
	defer restoreSignals()
	return load()
}

// restoreSignals puts back the noted handlers that were replaced.
func restoreSignals() {
	signals.Lock()
	defer signals.Unlock()
	C.sp_restore_signals()
}

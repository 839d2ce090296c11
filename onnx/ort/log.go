package ort

/*
#include "native.h"
*/
import "C"

import (
	"context"
	"log/slog"
	"strings"
	"sync/atomic"
)

// logger receives the runtime's log.
var logger atomic.Pointer[slog.Logger]

// The runtime's severities, OrtLoggingLevel, and the levels that they get. An
// error is only worth debugging here, because the call that failed returns it;
// warnings are remarks to those who write models, not to those who use them.
const severityWarning = 2

var levels = [...]slog.Level{
	slog.LevelDebug, slog.LevelDebug, slog.LevelInfo, slog.LevelDebug, slog.LevelError,
}

//export softpromptLog
func softpromptLog(severity C.int, category, where, message *C.char) {
	log := logger.Load()
	if log == nil {
		return
	}
	level := slog.LevelDebug
	if int(severity) >= 0 && int(severity) < len(levels) {
		level = levels[severity]
	}
	log.Log(context.Background(), level, "onnx runtime: "+strings.TrimSpace(C.GoString(message)),
		"category", C.GoString(category), "where", C.GoString(where))
}

package main

import (
	"runtime"
	"runtime/debug"
)

// versionCmd prints the version.
type versionCmd struct{}

// Run prints it.
func (versionCmd) Run(ui *tui) error {
	v := programVersion()
	if ui.json {
		return ui.emit(map[string]string{"version": v, "go": runtime.Version(), "platform": platform()})
	}
	ui.printf("softprompt %s (%s, %s)\n", v, runtime.Version(), platform())
	return nil
}

func platform() string { return runtime.GOOS + "/" + runtime.GOARCH }

// programVersion is what the linker stamped, or else what the Go tool knows of
// the source.
func programVersion() string {
	if version != "" {
		return version
	}
	info, ok := debug.ReadBuildInfo()
	if !ok {
		return "unknown"
	}
	for _, s := range info.Settings {
		if s.Key == "vcs.revision" && len(s.Value) >= 12 {
			return s.Value[:12]
		}
	}
	if v := info.Main.Version; v != "" {
		return v
	}
	return "unknown"
}

// moduleVersion is the version of a module that softprompt is built with.
func moduleVersion(path string) string {
	if info, ok := debug.ReadBuildInfo(); ok {
		for _, m := range info.Deps {
			if m.Path == path {
				return m.Version
			}
		}
	}
	return "unknown"
}

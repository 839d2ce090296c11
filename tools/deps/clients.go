package main

import (
	"errors"
	"os/exec"
	"slices"
)

// A client is a program that fetches archives from a package registry.
type client struct {
	name    string                    // what its archives are called
	suffix  string                    // of their file names
	command func() ([]string, error)  // how it is called on this machine
	args    func(src source) []string // what makes it put the archive into the working folder
	extract func(archive, member, to string) error
}

// pip is told which platform's and Python's wheel to fetch, so the file is
// the same whatever Python it runs in.
var pip = &client{
	name:    "Python wheel",
	suffix:  ".whl",
	command: pipCommand,
	args: func(src source) []string {
		return []string{
			"download", "--quiet", "--no-input", "--no-deps", "--only-binary=:all:",
			"--python-version", "3.12", "--implementation", "cp", "--abi", "cp312",
			"--platform", src.wheel, "--dest", ".", "onnxruntime==" + src.version,
		}
	},
	extract: extractZip,
}

// npm brings one package with the libraries of all platforms. Its install
// script, which fetches more, does not run.
var npm = &client{
	name:    "npm package",
	suffix:  ".tgz",
	command: npmCommand,
	args: func(src source) []string {
		return []string{"pack", "--silent", "--ignore-scripts", "onnxruntime-node@" + src.version}
	},
	extract: extractTarGz,
}

// tool says what to install where neither client is there.
func (c *client) tool() tool {
	return tool{
		name: "pip or npm",
		find: func() error {
			_, err := c.command()
			return err
		},
		install: "Python 3 with pip (Debian: python3-pip) or Node.js with npm, or set " + libraryVariable + " to the library of an ONNX Runtime that you have",
	}
}

// fetch is the whole command line that brings src's archive.
func (c *client) fetch(src source) ([]string, error) {
	command, err := c.command()
	return slices.Concat(command, c.args(src)), err
}

// pipCommand tries each way to pip, since a Python need not have it.
func pipCommand() ([]string, error) {
	for _, command := range [][]string{{"python3", "-m", "pip"}, {"python", "-m", "pip"}, {"pip3"}, {"pip"}} {
		if answers(command) {
			return command, nil
		}
	}
	return nil, errors.New("no pip")
}

func npmCommand() ([]string, error) {
	if command := []string{"npm"}; answers(command) {
		return command, nil
	}
	return nil, errors.New("no npm")
}

// answers reports whether a program is there and runs.
func answers(command []string) bool {
	return exec.Command(command[0], append(command[1:len(command):len(command)], "--version")...).Run() == nil
}

package models

import (
	"bytes"
	"encoding/binary"
	"errors"
	"fmt"
)

// Before PyTorch 1.6 a file was five pickles and then the storages
// (torch/serialization.py, _legacy_save):
//
//	0x1950a86a20f9469cfc6c   the magic number
//	1001                     the version
//	{"little_endian": True}  and sizes of C types
//	the state dict           which names storages by key
//	[key, key, …]            the order in which the storages follow
//	count, elements          of each storage; the count is 8 bytes
//
// The storages lie wherever the pickles end, at odd addresses too.

// legacyMagic is the first pickle behind its PROTO opcode, and legacyStart is
// where the second begins.
var legacyMagic = []byte("\x8a\x0a\x6c\xfc\x9c\x46\xf9\x20\x6a\xa8\x50\x19.")

const (
	legacyStart   = 2 + 13
	legacyVersion = 1001
)

func isPyTorchLegacy(file []byte) bool {
	return len(file) > legacyStart && file[0] == 0x80 && bytes.HasPrefix(file[2:], legacyMagic)
}

// readPyTorchLegacy finds the tensors of a file in the older format.
func readPyTorchLegacy(file []byte) ([]tensor, error) {
	at := int64(legacyStart)
	var parts [4]any // version, machine, state dict, keys
	var storages map[string]storage
	for i := range parts {
		value, named, n, err := unpickle(file[at:])
		if err != nil {
			return nil, err
		}
		if len(named) > 0 {
			storages = named
		}
		parts[i] = value
		at += int64(n)
	}
	if parts[0] != int64(legacyVersion) {
		return nil, fmt.Errorf("another version of the format, wanted %d", legacyVersion)
	}
	if err := checkMachine(parts[1]); err != nil {
		return nil, err
	}
	names, views, err := namedViews(parts[2])
	if err != nil {
		return nil, err
	}
	places, err := legacyPlaces(file, at, parts[3], storages)
	if err != nil {
		return nil, err
	}
	tensors := make([]tensor, len(names))
	for i, v := range views {
		place, ok := places[v.storage.key]
		if !ok {
			return nil, fmt.Errorf("tensor %.80q needs storage %.40q, which does not follow", names[i], v.storage.key)
		}
		tensors[i] = v.tensor(names[i], file, place)
	}
	return tensors, nil
}

// checkMachine takes what was written on a little-endian machine.
func checkMachine(v any) error {
	d, ok := v.(*pyDict)
	if !ok {
		return fmt.Errorf("%s where the writer's machine should be described", kind(v))
	}
	for _, e := range d.entries {
		if e.key == "little_endian" {
			if e.value != true {
				return errors.New("written on a big-endian machine, wanted little-endian")
			}
			return nil
		}
	}
	return errors.New("the byte order is not said")
}

// legacyPlaces walks the storages, which start at a byte of the file, and
// returns where the elements of each lie.
func legacyPlaces(file []byte, at int64, keys any, storages map[string]storage) (map[string]int64, error) {
	order, ok := keys.(*pyList)
	if !ok {
		return nil, fmt.Errorf("%s where the list of storages should be", kind(keys))
	}
	size := int64(len(file))
	places := map[string]int64{}
	for _, k := range order.items {
		key, _ := k.(string)
		s, ok := storages[key]
		if !ok {
			return nil, fmt.Errorf("storage %.40q follows, but belongs to no tensor", key)
		}
		if _, ok := places[key]; ok {
			return nil, fmt.Errorf("storage %.40q follows twice", key)
		}
		if size-at < 8 {
			return nil, fmt.Errorf("storage %.40q is cut off at byte %d of %d", key, at, size)
		}
		if n := binary.LittleEndian.Uint64(file[at:]); n != uint64(s.numel) {
			return nil, fmt.Errorf("storage %.40q has %d elements, wanted %d", key, n, s.numel)
		}
		at += 8
		if s.bytes() > size-at {
			return nil, fmt.Errorf("storage %.40q has %d bytes at byte %d of a file of %d", key, s.bytes(), at, size)
		}
		places[key] = at
		at += s.bytes()
	}
	if at != size {
		return nil, fmt.Errorf("%d bytes after the last storage", size-at)
	}
	return places, nil
}

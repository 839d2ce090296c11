package models

import (
	"encoding/binary"
	"errors"
	"fmt"
)

// A pickle is a program for a small stack machine, and Python's own machine
// runs whatever function the program names. Ours knows the opcodes that
// torch.save writes for a dictionary of tensors (those of
// torch/_weights_only_unpickler.py) and the few names of pytorch_tensor.go,
// all of which are functions of this package: there is nothing in it that
// could be run.
//
// It is written here, as the Go library for pickles allocates whatever length
// the file claims (make([]byte, 1<<63-1) panics) and compares dictionaries'
// keys by reflection. This machine never recurses, takes no length from the
// file without holding it against the bytes that are left, and copies no value
// twice, so what it allocates is bounded by the program's length.

// pickleLimit bounds the program: that of a T5 of 11 billion takes 100 kB.
const pickleLimit = 4 << 20

// The machine's values: nil, bool, int64, float64, string, and these.
type (
	pyTuple  []any
	pyList   struct{ items []any }
	pyDict   struct{ entries []pyEntry }
	pyGlobal string // module.name, one that the tables of pytorch_tensor.go have

	pyEntry struct{ key, value any }
)

// unpickler runs one program.
type unpickler struct {
	program  []byte
	at       int
	stack    []any
	marks    []int // heights of the stack
	memo     map[uint32]any
	storages map[string]storage // those named, by key
}

// unpickle runs the program at the start of data and returns its value, the
// storages it names and its length.
func unpickle(data []byte) (value any, storages map[string]storage, length int, err error) {
	u := &unpickler{program: data[:min(len(data), pickleLimit)], memo: map[uint32]any{}, storages: map[string]storage{}}
	for {
		at := u.at
		op, err := u.take(1)
		if err != nil {
			return nil, nil, 0, fmt.Errorf("the pickle: %w", err)
		}
		if op[0] == '.' {
			if value, err = u.pop(); err != nil {
				return nil, nil, 0, fmt.Errorf("the pickle: %w", err)
			}
			return value, u.storages, u.at, nil
		}
		run := opcodes[op[0]]
		if run == nil {
			return nil, nil, 0, fmt.Errorf("the pickle has opcode %#02x at byte %d, which torch.save does not write", op[0], at)
		}
		if err := run(u); err != nil {
			return nil, nil, 0, fmt.Errorf("the pickle, byte %d: %w", at, err)
		}
	}
}

// opcodes has what the machine can do, by the names of Python's pickletools.
var opcodes = [256]func(*unpickler) error{
	0x80: func(u *unpickler) error { // PROTO
		v, err := u.take(1)
		if err == nil && v[0] > 2 {
			err = fmt.Errorf("pickle protocol %d, torch.save writes 2", v[0])
		}
		return err
	},
	'(': func(u *unpickler) error { u.marks = append(u.marks, len(u.stack)); return nil }, // MARK

	'N':  func(u *unpickler) error { return u.push(nil) },       // NONE
	0x88: func(u *unpickler) error { return u.push(true) },      // NEWTRUE
	0x89: func(u *unpickler) error { return u.push(false) },     // NEWFALSE
	')':  func(u *unpickler) error { return u.push(pyTuple{}) }, // EMPTY_TUPLE
	']':  func(u *unpickler) error { return u.push(&pyList{}) }, // EMPTY_LIST
	'}':  func(u *unpickler) error { return u.push(&pyDict{}) }, // EMPTY_DICT

	'K':  func(u *unpickler) error { return u.integer(1, false) }, // BININT1
	'M':  func(u *unpickler) error { return u.integer(2, false) }, // BININT2
	'J':  func(u *unpickler) error { return u.integer(4, true) },  // BININT
	0x8a: (*unpickler).long,                                       // LONG1
	'G':  (*unpickler).float,                                      // BINFLOAT
	'X':  func(u *unpickler) error { return u.text(4) },           // BINUNICODE
	'U':  func(u *unpickler) error { return u.text(1) },           // SHORT_BINSTRING, of Python 2

	'q': func(u *unpickler) error { return u.put(1) }, // BINPUT
	'r': func(u *unpickler) error { return u.put(4) }, // LONG_BINPUT
	'h': func(u *unpickler) error { return u.get(1) }, // BINGET
	'j': func(u *unpickler) error { return u.get(4) }, // LONG_BINGET

	't':  (*unpickler).tuple,                                        // TUPLE
	0x85: func(u *unpickler) error { return u.tupleOf(1) },          // TUPLE1
	0x86: func(u *unpickler) error { return u.tupleOf(2) },          // TUPLE2
	0x87: func(u *unpickler) error { return u.tupleOf(3) },          // TUPLE3
	'a':  func(u *unpickler) error { return u.appendTo(u.popN(1)) }, // APPEND
	'e': func(u *unpickler) error { // APPENDS
		return u.appendTo(u.popMark())
	},
	's': func(u *unpickler) error { // SETITEM
		return u.setIn(u.popN(2))
	},
	'u': func(u *unpickler) error { // SETITEMS
		return u.setIn(u.popMark())
	},

	'c': (*unpickler).global, // GLOBAL
	'R': (*unpickler).reduce, // REDUCE
	'b': (*unpickler).build,  // BUILD
	'Q': func(u *unpickler) error { // BINPERSID
		id, err := u.pop()
		if err != nil {
			return err
		}
		s, err := newStorage(id)
		if err != nil {
			return err
		}
		if old, ok := u.storages[s.key]; ok && old != s {
			return fmt.Errorf("storage %.40q is %d of %s and %d of %s", s.key, old.numel, old.dtype, s.numel, s.dtype)
		}
		u.storages[s.key] = s
		return u.push(s)
	},
}

// take returns the program's next n bytes.
func (u *unpickler) take(n int) ([]byte, error) {
	if n > len(u.program)-u.at {
		if len(u.program) == pickleLimit {
			return nil, fmt.Errorf("longer than %d bytes, more than any state dict needs", pickleLimit)
		}
		return nil, fmt.Errorf("cut off: %d bytes wanted at byte %d of %d", n, u.at, len(u.program))
	}
	b := u.program[u.at : u.at+n]
	u.at += n
	return b, nil
}

// number reads a little-endian number without a sign.
func (u *unpickler) number(size int) (uint64, error) {
	b, err := u.take(size)
	var wide [8]byte
	copy(wide[:], b)
	return binary.LittleEndian.Uint64(wide[:]), err
}

func (u *unpickler) push(v any) error { u.stack = append(u.stack, v); return nil }

// popN takes the n topmost values above the last mark, the deepest first. They
// are valid until the next push.
func (u *unpickler) popN(n int) ([]any, error) {
	floor := 0
	if len(u.marks) > 0 {
		floor = u.marks[len(u.marks)-1]
	}
	if len(u.stack)-n < floor {
		return nil, errors.New("too few values on the stack")
	}
	values := u.stack[len(u.stack)-n:]
	u.stack = u.stack[:len(u.stack)-n]
	return values, nil
}

func (u *unpickler) pop() (any, error) {
	values, err := u.popN(1)
	if err != nil {
		return nil, err
	}
	return values[0], nil
}

// popMark takes the values above the last mark, and the mark.
func (u *unpickler) popMark() ([]any, error) {
	if len(u.marks) == 0 {
		return nil, errors.New("no mark on the stack")
	}
	values, err := u.popN(len(u.stack) - u.marks[len(u.marks)-1])
	u.marks = u.marks[:len(u.marks)-1]
	return values, err
}

package models

import (
	"bytes"
	"encoding/binary"
	"errors"
	"fmt"
	"math"
	"slices"
	"unicode/utf8"
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

func (u *unpickler) integer(size int, signed bool) error {
	n, err := u.number(size)
	if err != nil {
		return err
	}
	if signed {
		return u.push(int64(int32(n)))
	}
	return u.push(int64(n))
}

// long reads a number of up to eight bytes in two's complement; a file needs
// none longer.
func (u *unpickler) long() error {
	n, err := u.number(1)
	if err != nil {
		return err
	}
	if n > 8 {
		return fmt.Errorf("a number of %d bytes, wanted at most 8", n)
	}
	v, err := u.number(int(n))
	if err != nil {
		return err
	}
	shift := 64 - 8*n
	return u.push(int64(v<<shift) >> shift)
}

// float reads a float64, the one value that pickles hold big-endian.
func (u *unpickler) float() error {
	b, err := u.take(8)
	if err != nil {
		return err
	}
	return u.push(math.Float64frombits(binary.BigEndian.Uint64(b)))
}

func (u *unpickler) text(size int) error {
	n, err := u.number(size)
	if err != nil {
		return err
	}
	b, err := u.take(int(n))
	if err != nil {
		return err
	}
	if !utf8.Valid(b) {
		return fmt.Errorf("the text %.40q is not UTF-8", b)
	}
	return u.push(string(b))
}

func (u *unpickler) put(size int) error {
	key, err := u.number(size)
	if err != nil {
		return err
	}
	value, err := u.pop()
	if err != nil {
		return err
	}
	u.memo[uint32(key)] = value
	return u.push(value)
}

func (u *unpickler) get(size int) error {
	key, err := u.number(size)
	if err != nil {
		return err
	}
	value, ok := u.memo[uint32(key)]
	if !ok {
		return fmt.Errorf("value %d was never remembered", key)
	}
	return u.push(value)
}

func (u *unpickler) tuple() error {
	values, err := u.popMark()
	if err != nil {
		return err
	}
	return u.push(pyTuple(slices.Clone(values)))
}

func (u *unpickler) tupleOf(n int) error {
	values, err := u.popN(n)
	if err != nil {
		return err
	}
	return u.push(pyTuple(slices.Clone(values)))
}

// appendTo appends to the list on top of the stack.
func (u *unpickler) appendTo(items []any, err error) error {
	if err != nil {
		return err
	}
	top, err := u.pop()
	if err != nil {
		return err
	}
	l, ok := top.(*pyList)
	if !ok {
		return fmt.Errorf("appending to %s, wanted a list", kind(top))
	}
	l.items = append(l.items, items...)
	return u.push(l)
}

// setIn sets keys and values, which take turns, in the dictionary on top of
// the stack.
func (u *unpickler) setIn(items []any, err error) error {
	if err != nil {
		return err
	}
	top, err := u.pop()
	if err != nil {
		return err
	}
	d, ok := top.(*pyDict)
	if !ok {
		return fmt.Errorf("setting items of %s, wanted a dictionary", kind(top))
	}
	if len(items)%2 != 0 {
		return errors.New("a key without a value")
	}
	for i := 0; i < len(items); i += 2 {
		d.entries = append(d.entries, pyEntry{items[i], items[i+1]})
	}
	return u.push(d)
}

// global names a class or function, of which the tables have all that may be
// named.
func (u *unpickler) global() error {
	rest := u.program[u.at:]
	module, rest, ok := bytes.Cut(rest, []byte("\n"))
	name, rest, ok2 := bytes.Cut(rest, []byte("\n"))
	if !ok || !ok2 {
		return errors.New("a name without end")
	}
	u.at = len(u.program) - len(rest)
	g := pyGlobal(fmt.Sprintf("%s.%s", module, name))
	_, isStorage := storageTypes[g]
	if callables[g] == nil && !isStorage {
		return forbiddenError{string(g)}
	}
	return u.push(g)
}

// forbiddenError is a pickle's wish for what is no part of a state dict.
type forbiddenError struct{ name string }

func (e forbiddenError) Error() string {
	return fmt.Sprintf("it names %.80q, and nothing was run: wanted a state dict, which is tensors and dictionaries alone", e.name)
}

// reduce calls a function of ours.
func (u *unpickler) reduce() error {
	values, err := u.popN(2)
	if err != nil {
		return err
	}
	callee, _ := values[0].(pyGlobal)
	args, ok := values[1].(pyTuple)
	if callables[callee] == nil || !ok {
		return fmt.Errorf("calling %s with %s", kind(values[0]), kind(values[1]))
	}
	v, err := callables[callee](args)
	if err != nil {
		return fmt.Errorf("%s: %w", callee, err)
	}
	return u.push(v)
}

// build sets an object's attributes: a state dict has _metadata, the versions
// of its modules, which nobody here needs.
func (u *unpickler) build() error {
	values, err := u.popN(2)
	if err != nil {
		return err
	}
	if _, ok := values[0].(*pyDict); !ok {
		return fmt.Errorf("setting attributes of %s, wanted a dictionary", kind(values[0]))
	}
	return u.push(values[0])
}

// kind says what a value is. It never prints one: a value may be endless.
func kind(v any) string {
	switch v := v.(type) {
	case nil:
		return "None"
	case bool, int64, float64:
		return "a number"
	case string:
		return "a text"
	case pyTuple:
		return fmt.Sprintf("a tuple of %d", len(v))
	case *pyList:
		return fmt.Sprintf("a list of %d", len(v.items))
	case *pyDict:
		return fmt.Sprintf("a dictionary of %d", len(v.entries))
	case pyGlobal:
		return string(v)
	case storage:
		return "a storage"
	case *view:
		return "a tensor"
	}
	return "an object"
}

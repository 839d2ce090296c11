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

// What the opcodes of pytorch_pickle.go do.

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

package tasks

import (
	"bytes"
	"encoding/binary"
	"encoding/json"
	"errors"
	"fmt"
	"io"
	"io/fs"
	"iter"
	"slices"
	"strconv"
	"strings"

	"github.com/parquet-go/parquet-go"
)

// maxParquet bounds a Parquet file that has to be unpacked into memory, as one
// that ends in .gz.
const maxParquet = 1 << 30

// parquetTable reads the columns of a Parquet file. A column is of texts,
// integers, fractions or truth values, whatever its compression and encoding;
// the one that may be a list has one such value, or several, in a row. A null
// is an error of its row.
func parquetTable(c Columns) Reader {
	return func(r io.Reader) iter.Seq2[Record, error] {
		return func(yield func(Record, error) bool) {
			if err := parquetRows(r, c, yield); err != nil {
				yield(Record{}, err)
			}
		}
	}
}

// parquetRows yields the rows, and returns what keeps the file from being
// read. The library panics on some broken files, which is an error here.
func parquetRows(r io.Reader, c Columns, yield func(Record, error) bool) (err error) {
	inside := true // not in yield, whose panics are the caller's
	row := 0
	defer func() {
		if inside {
			if p := recover(); p != nil {
				err = fmt.Errorf("row %d: the Parquet file is broken: %.200v", row+1, p)
			}
		}
	}()
	file, err := openParquet(r)
	if err != nil {
		return err
	}
	leaves, err := c.leaves(file.Root())
	if err != nil {
		return fmt.Errorf("the schema: %w", err)
	}
	if file.NumRows() == 0 {
		return errors.New("the file has no rows")
	}
	names := classNames(file, c.Classes)
	for _, group := range file.RowGroups() {
		rows := group.Rows()
		defer rows.Close()
		batch := make([]parquet.Row, 64)
		for {
			n, err := rows.ReadRows(batch)
			for _, values := range batch[:n] {
				row++
				record, err := c.parquetRecord(row, leaves, values, names)
				inside = false
				more := yield(record, err)
				if inside = true; !more {
					return nil
				}
			}
			if err == io.EOF || err == nil && n == 0 {
				break
			}
			if err != nil {
				return fmt.Errorf("row %d: %w", row+1, err)
			}
		}
	}
	return nil
}

// openParquet reads the schema and where the pages are.
func openParquet(r io.Reader) (*parquet.File, error) {
	if f, ok := r.(interface {
		io.ReaderAt
		Stat() (fs.FileInfo, error)
	}); ok {
		info, err := f.Stat()
		if err != nil {
			return nil, err
		}
		return checkedParquet(f, info.Size())
	}
	data, err := io.ReadAll(io.LimitReader(r, maxParquet+1))
	switch {
	case err != nil:
		return nil, err
	case len(data) > maxParquet:
		return nil, fmt.Errorf("it unpacks to more than %d bytes; unpack it on disk", maxParquet)
	}
	return checkedParquet(bytes.NewReader(data), int64(len(data)))
}

// checkedParquet opens a file of which nothing beyond its end is claimed.
func checkedParquet(r io.ReaderAt, size int64) (*parquet.File, error) {
	if size == 0 {
		return nil, errors.New("the file is empty")
	}
	var tail [8]byte // the length of the footer, for which the library makes room, and a mark
	if _, err := r.ReadAt(tail[:], size-8); err == nil && string(tail[4:]) == "PAR1" && int64(binary.LittleEndian.Uint32(tail[:])) > size-8 {
		return nil, errors.New("not a Parquet file: its footer lies outside of it")
	}
	file, err := parquet.OpenFile(r, size, parquet.SkipPageIndex(true), parquet.SkipBloomFilters(true))
	if err != nil {
		return nil, fmt.Errorf("not a Parquet file: %w", err)
	}
	for g, group := range file.Metadata().RowGroups {
		for _, column := range group.Columns {
			if m := column.MetaData; m.TotalCompressedSize < 0 || m.TotalCompressedSize > size || m.DataPageOffset > size {
				return nil, fmt.Errorf("not a Parquet file: column %.80s of row group %d lies outside of it", strings.Join(m.PathInSchema, "."), g)
			}
		}
	}
	return file, nil
}

// leaves returns the wanted columns: for the index of a leaf, its name.
func (c Columns) leaves(root *parquet.Column) (map[int]string, error) {
	var header []string
	for _, column := range root.Columns() {
		header = append(header, column.Name())
	}
	out := map[int]string{}
	for _, name := range c.Names {
		column := parquetColumn(root, name)
		if column == nil && slices.Contains(c.Maybe, name) {
			continue
		}
		if column == nil {
			return nil, noColumn(name, header)
		}
		list := name == c.List || name == c.Choices
		for list && !column.Leaf() && len(column.Columns()) == 1 {
			column = column.Columns()[0]
		}
		if !column.Leaf() || column.Repeated() && !list {
			return nil, fmt.Errorf("the column %q is nested, want plain values", name)
		}
		if kind := column.Type().Kind(); parquetText[kind] == nil {
			return nil, fmt.Errorf("the column %q is of type %v, want text, integers, fractions or truth values", name, kind)
		}
		out[column.Index()] = name
	}
	return out, nil
}

// parquetColumn finds a column by its name; a dot leads into a structure.
func parquetColumn(root *parquet.Column, name string) *parquet.Column {
	if column := root.Column(name); column != nil {
		return column
	}
	outer, inner, ok := strings.Cut(name, ".")
	if column := root.Column(outer); ok && column != nil {
		return column.Column(inner)
	}
	return nil
}

// classNames returns, by column, the names that integers stand for where the
// file says so (Hugging Face's ClassLabel) and the names are the given ones in
// any order.
func classNames(file *parquet.File, classes []string) map[string][]string {
	text, _ := file.Lookup("huggingface")
	var said struct {
		Info struct {
			Features map[string]struct{ Names []string }
		}
	}
	// Features of other types have other forms, which do not matter.
	json.Unmarshal([]byte(text), &said)
	out := map[string][]string{}
	for column, feature := range said.Info.Features {
		if slices.Equal(slices.Sorted(slices.Values(feature.Names)), slices.Sorted(slices.Values(classes))) {
			out[column] = feature.Names
		}
	}
	return out
}

// parquetText writes a value of each kind that can be text.
var parquetText = map[parquet.Kind]func(v parquet.Value) string{
	parquet.Boolean:   func(v parquet.Value) string { return strconv.FormatBool(v.Boolean()) },
	parquet.Int32:     func(v parquet.Value) string { return strconv.FormatInt(int64(v.Int32()), 10) },
	parquet.Int64:     func(v parquet.Value) string { return strconv.FormatInt(v.Int64(), 10) },
	parquet.Float:     func(v parquet.Value) string { return strconv.FormatFloat(float64(v.Float()), 'g', -1, 32) },
	parquet.Double:    func(v parquet.Value) string { return strconv.FormatFloat(v.Double(), 'g', -1, 64) },
	parquet.ByteArray: func(v parquet.Value) string { return string(v.ByteArray()) },
}

// parquetRecord takes the wanted values of a row; names are those of classes,
// by column.
func (c Columns) parquetRecord(row int, leaves map[int]string, values parquet.Row, names map[string][]string) (Record, error) {
	r := Record{Row: row, Fields: make(map[string]string, len(leaves))}
	fail := func(format string, args ...any) (Record, error) {
		return Record{}, fmt.Errorf("row %d: %w", row, fmt.Errorf(format, args...))
	}
	for _, v := range values {
		name, wanted := leaves[v.Column()]
		switch {
		case !wanted:
			continue
		case v.IsNull() && slices.Contains(c.Maybe, name):
			continue
		case v.IsNull():
			return fail("the %s is null", name)
		case v.Kind() == parquet.ByteArray && len(v.ByteArray()) > maxLine:
			return fail("the %s is longer than %d bytes, so no text", name, maxLine)
		}
		text := parquetText[v.Kind()](v)
		if err := checkText(text); err != nil {
			return fail("the %s: %w", name, err)
		}
		if class, err := strconv.Atoi(text); err == nil && class >= 0 && class < len(names[name]) {
			text = names[name][class]
		}
		r.Fields[name] = text
		switch name {
		case c.List:
			r.Answers = append(r.Answers, text)
		case c.Choices:
			r.Choices = append(r.Choices, text)
		}
	}
	return r, nil
}

package exported

import (
	"context"
	"crypto/sha256"
	"encoding/binary"
	"encoding/hex"
	"fmt"
	"io"
	"log/slog"
	"math"
	"os"
	"path/filepath"
	"slices"
	"strconv"

	"softprompt/models"
	"softprompt/onnx/hint"
)

// recoveredFormat changes when recovered files are made differently.
const recoveredFormat = "softprompt recovered 1"

// tile is how many numbers are read at once: a turned matrix is read in
// stretches as long as a tile has rows.
const tile = 1 << 18

// Checkpoint returns the weights as float32 under Hugging Face's names, each
// [out,in], in a file of dir. It is written on the first call and found again
// by its content on later ones. A head that equals the embedding is left out.
// Name is for people who look into the folder; files are those that the graphs
// were read from. The caller closes the checkpoint.
func (r *Recovery) Checkpoint(ctx context.Context, dir, name string, files []string, log *slog.Logger) (*models.Checkpoint, error) {
	key := r.key(files)
	path := filepath.Join(dir, fmt.Sprintf("%s-%s.safetensors", filepath.Base(name), key[:16]))
	if ck, err := r.reopen(path, key); err == nil {
		log.Debug("using recovered weights", "file", path)
		return ck, nil
	}
	log.Info("recovering the weights from the exported graphs", "model", name, "file", path)
	advice := fmt.Sprintf("the recovered weights need %d MB in %s; SOFTPROMPT_CACHE chooses another folder", r.bytes()>>20+1, dir)
	if err := os.MkdirAll(dir, 0o755); err != nil {
		return nil, hint.Wrap(fmt.Errorf("recovering the weights of %s: %w", name, err), "%s", advice)
	}
	if err := r.write(ctx, path, key); err != nil {
		return nil, hint.Wrap(fmt.Errorf("recovering the weights of %s: %w", name, err), "%s", advice)
	}
	ck, err := r.reopen(path, key)
	if err != nil {
		return nil, fmt.Errorf("recovering the weights of %s: %w", name, err)
	}
	return ck, nil
}

func (r *Recovery) bytes() (n int64) {
	for _, w := range r.weights {
		n += 4 * w.rows * w.cols
	}
	return n
}

// key identifies the weights without reading all of them: what they are made
// of, some of their numbers, and the files' sizes and times.
func (r *Recovery) key(files []string) string {
	h := sha256.New()
	fmt.Fprintln(h, recoveredFormat)
	for _, file := range files {
		if info, err := os.Stat(file); err == nil {
			fmt.Fprintln(h, info.Size(), info.ModTime().UnixNano())
		}
	}
	for _, w := range slices.Concat(r.weights, r.same) {
		fmt.Fprintln(h, w.Name, w.Shape, w.tensor.Name, w.tensor.Type, w.tensor.Dims, w.kind(), w.from)
		for _, at := range w.samples() {
			binary.Write(h, binary.LittleEndian, w.at(at))
		}
	}
	return hex.EncodeToString(h.Sum(nil))
}

// samples are places spread over a weight, as flat indices of [rows,cols].
func (s *source) samples() []int64 {
	const count = 61 // no divisor of any size that models have
	n := s.rows * s.cols
	places := []int64{0, n - 1}
	for i := range min(count, n) {
		places = append(places, n/count*i+(i*i*7919)%max(n/count, 1))
	}
	return places
}

// at returns one number of a weight.
func (s *source) at(index int64) float32 {
	v := make([]float32, 1)
	switch {
	case s.quantum != nil && s.quantum.bits != 0:
		row := make([]float32, index%s.cols+1)
		s.readBlocks(row, index/s.cols)
		return row[len(row)-1]
	case s.turned:
		index = index%s.cols*s.stride() + s.from + index/s.cols
	}
	s.stored(v, index)
	return v[0]
}

// reopen opens a recovered file and checks that it is what write would write:
// the key, the sizes, and some numbers of every weight.
func (r *Recovery) reopen(path, key string) (_ *models.Checkpoint, err error) {
	ck, err := models.OpenSafetensors(path)
	if err != nil {
		return nil, err
	}
	defer func() {
		if err != nil {
			ck.Close()
		}
	}()
	if ck.Metadata["source"] != key {
		return nil, fmt.Errorf("%s was made from other weights", path)
	}
	for _, w := range r.weights {
		info, ok := ck.Lookup(w.Name)
		if !ok && w.Optional {
			continue
		}
		if !ok || info.DType != models.F32 || info.Elements() != w.rows*w.cols {
			return nil, fmt.Errorf("%s has no tensor %q of %v", path, w.Name, w.Shape)
		}
		data, err := ck.Bytes(w.Name)
		if err != nil {
			return nil, err
		}
		for _, at := range w.samples() {
			if binary.LittleEndian.Uint32(data[4*at:]) != math.Float32bits(w.at(at)) {
				return nil, fmt.Errorf("%s: tensor %q is damaged", path, w.Name)
			}
		}
	}
	return ck, nil
}

// write makes the file, a tile at a time.
func (r *Recovery) write(ctx context.Context, path, key string) error {
	for _, w := range r.same {
		same, err := equal(ctx, r.weights[0].source, w.source)
		if err != nil {
			return err
		}
		if !same {
			return fmt.Errorf("encoder and decoder have different embeddings (%s and %s)", r.weights[0].tensor.Name, w.tensor.Name)
		}
	}
	head := r.weights[len(r.weights)-1]
	tied, err := equal(ctx, r.weights[0].source, head.source)
	if err != nil {
		return err
	}
	weights := r.weights
	if tied {
		weights = weights[:len(weights)-1]
	}
	infos := make([]models.TensorInfo, len(weights))
	for i, w := range weights {
		infos[i] = models.TensorInfo{Name: w.Name, DType: models.F32, Shape: w.Shape, Length: 4 * w.rows * w.cols}
	}
	metadata := map[string]string{"source": key, "made_by": recoveredFormat, "tied": strconv.FormatBool(tied)}
	return models.StreamSafetensors(path, infos, metadata, func(i int, out io.Writer) error {
		buf := make([]byte, 0, 4*tile)
		return weights[i].tiles(ctx, func(values []float32) error {
			buf = buf[:0]
			for _, v := range values {
				buf = binary.LittleEndian.AppendUint32(buf, math.Float32bits(v))
			}
			_, err := out.Write(buf)
			return err
		})
	})
}

// tiles yields the numbers of a weight in order, some rows at a time.
func (s *source) tiles(ctx context.Context, yield func(values []float32) error) error {
	n := max(1, tile/max(1, s.cols))
	buf := make([]float32, min(n, s.rows)*s.cols)
	for row := int64(0); row < s.rows; row += n {
		if err := ctx.Err(); err != nil {
			return err
		}
		values := buf[:min(n, s.rows-row)*s.cols]
		s.read(values, row)
		if err := yield(values); err != nil {
			return err
		}
	}
	return nil
}

// equal compares two weights of one shape, number by number.
func equal(ctx context.Context, a, b *source) (bool, error) {
	if a.tensor == b.tensor && a.turned == b.turned && a.from == b.from && a.quantum == b.quantum {
		return true, nil
	}
	for _, at := range a.samples() {
		if a.at(at) != b.at(at) {
			return false, nil
		}
	}
	same, row := true, int64(0)
	err := a.tiles(ctx, func(values []float32) error {
		if !same {
			return nil
		}
		other := make([]float32, len(values))
		b.read(other, row)
		row += int64(len(values)) / a.cols
		for i, v := range values {
			same = same && v == other[i]
		}
		return nil
	})
	return same, err
}

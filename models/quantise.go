package models

import (
	"context"
	"errors"
	"fmt"
	"io"
	"io/fs"
	"math"
	"os"
	"path/filepath"
	"runtime"
	"strings"
	"unsafe"

	"golang.org/x/sync/errgroup"
	"golang.org/x/sys/cpu"

	"softprompt/onnx/hint"
)

// The weights of linear layers as 8-bit integers, for products of integers: a
// weight w [out,in] is q·s with q in −levels…levels and a scale s for each
// channel that the product keeps, so that the scales factor out of its sums.
//
//	forward  y = x·wᵀ    q [in,out], one scale for each output
//	back     dx = dy·w   q [out,in], one scale for each input
//
// The two are rounded apart, each as finely as its scales allow.

// Int8Names names the tensors of a weight in the file of [Model.Int8File]: the
// integers (I8) and their scales (F32) for x·wᵀ, or, with back, for dy·w.
func Int8Names(weight string, back bool) (integers, scales string) {
	if back {
		return weight + ":back", weight + ":back.scale"
	}
	return weight + ":forward", weight + ":forward.scale"
}

// int8Format changes when quantised files are made differently.
const int8Format = "softprompt int8 1"

// int8Levels is the largest integer of a weight. A processor that multiplies
// unsigned by signed bytes with instructions made for it sums in 32 bits; an
// older x86 adds pairs of products in 16, which 64·255·2 is the most that fits.
func int8Levels() float32 {
	if runtime.GOARCH == "amd64" && !cpu.X86.HasAVX512VNNI && !cpu.X86.HasAVXVNNI {
		return 64
	}
	return 127
}

// Int8File returns the weights of the model's linear layers, but for the
// head, as 8-bit integers, see [Int8Names]. They are made once, from float32,
// and kept in the cache under a name made from the model's content. The model
// closes the checkpoint.
func (m *Model) Int8File(ctx context.Context) (*Checkpoint, error) {
	source, err := m.Float32File(ctx)
	if err != nil {
		return nil, err
	}
	m.mu.Lock()
	defer m.mu.Unlock()
	if m.int8 != nil {
		return m.int8, nil
	}
	weights, err := m.usedWeights()
	if err != nil {
		return nil, err
	}
	levels := int8Levels()
	content := contentKey(weights)
	key := fmt.Sprintf("%s %g %s", int8Format, levels, content)
	path := filepath.Join(m.cache, "int8", fmt.Sprintf("%s-%s-%g.safetensors", filepath.Base(m.Name), content[:16], levels))
	if m.int8, err = openInt8(path, key); err == nil {
		return m.int8, nil
	}
	if !errors.Is(err, fs.ErrNotExist) {
		m.log.Warn("the quantised weights in the cache cannot be used and are made anew", "file", path, "reason", err)
	}
	m.log.Info("quantising the weights to 8 bits", "model", m.Ref, "file", path)
	if err = os.MkdirAll(filepath.Dir(path), 0o755); err == nil {
		err = writeInt8(ctx, path, key, linearWeights(source, weights), levels)
	}
	if err == nil {
		m.int8, err = openInt8(path, key)
	}
	if err != nil {
		return nil, hint.Wrap(fmt.Errorf("quantising the weights of %s: %w", m.Ref, err), "the file lies in %s; SOFTPROMPT_CACHE chooses another folder", filepath.Dir(path))
	}
	return m.int8, nil
}

// linearWeights picks the matrices that products are made with, in float32. The
// head is not among them: the gradient in a row of logits is one large number,
// the label's, and V−1 tiny ones, which a scale for the row would round to 0
// although they matter together.
func linearWeights(source *Checkpoint, used []tensor) []tensor {
	var list []tensor
	for _, t := range used {
		if len(t.Shape) == 2 && t.Name != sharedName && t.Name != headName && !strings.HasSuffix(t.Name, "relative_attention_bias.weight") {
			list = append(list, source.tensors[t.Name])
		}
	}
	return list
}

// openInt8 opens a quantised file if it was made from the weights of a key.
func openInt8(path, key string) (*Checkpoint, error) {
	if _, err := os.Stat(path); err != nil {
		return nil, err
	}
	c, err := OpenSafetensors(path)
	if err != nil {
		return nil, err
	}
	if c.Metadata["source"] != key {
		c.Close()
		return nil, fmt.Errorf("%s was made from other weights", path)
	}
	return c, nil
}

// writeInt8 quantises matrices, several at a time.
func writeInt8(ctx context.Context, path, key string, weights []tensor, levels float32) error {
	var infos []TensorInfo
	made := make([][4]chan []byte, len(weights)) // what infos has for each weight, in that order
	for i, w := range weights {
		out, in := w.Shape[0], w.Shape[1]
		for j, back := range []bool{false, true} {
			q, s := Int8Names(w.Name, back)
			shape, channels := []int64{in, out}, out
			if back {
				shape, channels = w.Shape, in
			}
			infos = append(infos,
				TensorInfo{Name: s, DType: F32, Shape: []int64{channels}, Length: 4 * channels},
				TensorInfo{Name: q, DType: I8, Shape: shape, Length: in * out})
			made[i][2*j], made[i][2*j+1] = make(chan []byte, 1), make(chan []byte, 1)
		}
	}
	group, ctx := errgroup.WithContext(ctx)
	group.SetLimit(runtime.GOMAXPROCS(0) + 1)
	group.Go(func() error {
		return StreamSafetensors(path, infos, map[string]string{"source": key}, func(i int, w io.Writer) error {
			select {
			case data := <-made[i/4][i%4]:
				_, err := w.Write(data)
				return err
			case <-ctx.Done():
				return ctx.Err()
			}
		})
	})
	for i, w := range weights {
		group.Go(func() error {
			if err := ctx.Err(); err != nil {
				return err
			}
			q, err := quantise(w, levels)
			if err != nil {
				return err
			}
			for j, data := range q {
				made[i][j] <- data
			}
			return nil
		})
	}
	return group.Wait()
}

// quantise returns the scales and integers of a float32 matrix [out,in], those
// for the product forward before those for the one back.
func quantise(t tensor, levels float32) (parts [4][]byte, err error) {
	out, in := int(t.Shape[0]), int(t.Shape[1])
	values := make([]float32, out*in)
	t.floats(values, 0)
	rows, cols := make([]float32, out), make([]float32, in)
	for o := range out {
		for i, v := range values[o*in : (o+1)*in] {
			a := float32(math.Abs(float64(v)))
			if !(a <= math.MaxFloat32) {
				return parts, fmt.Errorf("tensor %q in %s has an element that is not finite, at [%d,%d]", t.Name, t.File, o, i)
			}
			rows[o], cols[i] = max(rows[o], a), max(cols[i], a)
		}
	}
	forward, back := make([]int8, out*in), make([]int8, out*in)
	perRow, perCol := inverses(rows, levels), inverses(cols, levels)
	for o := range out {
		f := perRow[o]
		for i, v := range values[o*in : (o+1)*in] {
			back[o*in+i] = round8(v * perCol[i])
			forward[i*out+o] = round8(v * f)
		}
	}
	parts[0], parts[2] = make([]byte, 4*out), make([]byte, 4*in)
	putFloat32(parts[0], rows)
	putFloat32(parts[2], cols)
	parts[1], parts[3] = bytesOf(forward), bytesOf(back)
	return parts, nil
}

// inverses turns the largest magnitude of each channel into its scale, in
// place, and returns 1/scale, 0 for a channel of zeros.
func inverses(most []float32, levels float32) []float32 {
	inv := make([]float32, len(most))
	for i, m := range most {
		most[i] = m / levels
		if most[i] > 0 {
			inv[i] = 1 / most[i]
		}
	}
	return inv
}

// round8 rounds to the nearest integer, ties to even: a float32 of this size
// has no digits left behind the point. |v| is at most 127 but for a rounding.
func round8(v float32) int8 {
	const shift = 3 << 22
	return int8(v + shift - shift)
}

func bytesOf(v []int8) []byte {
	return unsafe.Slice((*byte)(unsafe.Pointer(unsafe.SliceData(v))), len(v))
}

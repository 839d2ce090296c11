package models

import (
	"errors"
	"fmt"
	"math"
	"unicode/utf8"

	"google.golang.org/protobuf/encoding/protowire"
)

// spiece is what a T5's tokenizer takes from spiece.model, the file that
// Google's T5s were published with. It is a ModelProto of SentencePiece's
// sentencepiece_model.proto; what softprompt does not need of it is passed over.
type spiece struct {
	pieces   []piece
	kinds    []uint64 // by piece
	unk      int      // the piece of kind unknown
	charsmap []byte   // compiled normalisation rules, see checkCharsmap; may be empty
	model    uint64   // how text is cut
}

// Kinds of pieces.
const (
	kindNormal      = 1
	kindUnknown     = 2
	kindControl     = 3
	kindUserDefined = 4
)

// spieceModels names the ways to cut text; the first is every T5's.
var spieceModels = map[uint64]string{1: "Unigram", 2: "BPE", 3: "word", 4: "character"}

// field is a field of a message with the type that its value comes in.
type field struct {
	number protowire.Number
	wire   protowire.Type
}

// The fields that are read.
var (
	modelPiece      = field{1, protowire.BytesType}
	modelTrainer    = field{2, protowire.BytesType}
	modelNormalizer = field{3, protowire.BytesType}

	pieceText  = field{1, protowire.BytesType}
	pieceScore = field{2, protowire.Fixed32Type}
	pieceKind  = field{3, protowire.VarintType}

	trainerModel       = field{3, protowire.VarintType}
	normalizerCharsmap = field{2, protowire.BytesType}
)

// parseSpiece reads a spiece.model of at most limit pieces.
func parseSpiece(data []byte, limit int) (*spiece, error) {
	s := &spiece{unk: -1, model: 1}
	ids := map[string]int{}
	err := eachField(data, func(f field, _ uint64, message []byte) error {
		switch f {
		case modelPiece:
			id := len(s.pieces)
			if id == limit {
				return fmt.Errorf("more than %d pieces, but the model's embedding has %d rows: the tokenizer of another model", limit, limit)
			}
			p, kind, err := parsePiece(message)
			if err != nil {
				return fmt.Errorf("piece %d: %w", id, err)
			}
			if first, ok := ids[p.Text]; ok {
				return fmt.Errorf("pieces %d and %d are both %q", first, id, p.Text)
			}
			if kind == kindUnknown {
				if s.unk >= 0 {
					return fmt.Errorf("pieces %d and %d are both the unknown token", s.unk, id)
				}
				s.unk = id
			}
			ids[p.Text] = id
			s.pieces, s.kinds = append(s.pieces, p), append(s.kinds, kind)
		case modelTrainer:
			return eachField(message, func(f field, number uint64, _ []byte) error {
				if f == trainerModel {
					s.model = number
				}
				return nil
			})
		case modelNormalizer:
			return eachField(message, func(f field, _ uint64, rules []byte) error {
				if f == normalizerCharsmap {
					s.charsmap = rules
				}
				return nil
			})
		}
		return nil
	})
	switch {
	case err != nil:
		return nil, err
	case len(s.pieces) == 0:
		return nil, errors.New("no pieces in it: not a SentencePiece model")
	case s.model != 1:
		return nil, fmt.Errorf("a SentencePiece model of type %d (%s), wanted %s, which every T5 has", s.model, spieceModels[s.model], spieceModels[1])
	case s.unk < 0:
		return nil, errors.New("no piece is the unknown token")
	}
	return s, nil
}

func parsePiece(message []byte) (piece, uint64, error) {
	var text []byte
	var score float32
	kind := uint64(kindNormal)
	err := eachField(message, func(f field, number uint64, value []byte) error {
		switch f {
		case pieceText:
			text = value
		case pieceScore:
			score = math.Float32frombits(uint32(number))
		case pieceKind:
			kind = number
		}
		return nil
	})
	switch {
	case err != nil:
		return piece{}, 0, err
	case len(text) == 0:
		return piece{}, 0, errors.New("no text")
	case len(text) > pieceLimit:
		return piece{}, 0, fmt.Errorf("%d bytes, at most %d are allowed", len(text), pieceLimit)
	case !utf8.Valid(text):
		return piece{}, 0, fmt.Errorf("%q is not UTF-8", text)
	case math.IsNaN(float64(score)) || math.IsInf(float64(score), 0):
		return piece{}, 0, fmt.Errorf("%q has the score %g", text, score)
	}
	return piece{string(text), float64(score)}, kind, nil
}

// eachField calls visit with every field of a message: number if it is a number
// of at most 64 bits, value if it has a length.
func eachField(message []byte, visit func(f field, number uint64, value []byte) error) error {
	for len(message) > 0 {
		id, wire, n := protowire.ConsumeTag(message)
		if n < 0 {
			return notSpiece(n)
		}
		message = message[n:]
		var number uint64
		var value []byte
		switch wire {
		case protowire.VarintType:
			number, n = protowire.ConsumeVarint(message)
		case protowire.Fixed32Type:
			var short uint32
			short, n = protowire.ConsumeFixed32(message)
			number = uint64(short)
		case protowire.BytesType:
			value, n = protowire.ConsumeBytes(message)
		default:
			n = protowire.ConsumeFieldValue(id, wire, message)
		}
		if n < 0 {
			return notSpiece(n)
		}
		if err := visit(field{id, wire}, number, value); err != nil {
			return err
		}
		message = message[n:]
	}
	return nil
}

// notSpiece is the error of protowire's negative length.
func notSpiece(n int) error {
	return fmt.Errorf("not a SentencePiece model, or cut short: %w", protowire.ParseError(n))
}

package session

import (
	"bytes"
	"compress/flate"
	_ "embed"
	"encoding/binary"
	"hash/crc32"
	"io"
	"strings"
	"sync"
)

// What is kept of a message is one text in Redis: a head that scripts can read, then the parts packed together, since the
// lines of a list stand in the session and in the reply alike.
//
//	<stream>/<seq> <message id> <marks>\n <packed>

// maxUnpacked bounds what a packed text may grow to, in bytes.
const maxUnpacked = 4 << 20

//go:embed dictionary.txt
var dictionary []byte

// edition names the dictionary in every packed text. What was packed with another one is unreadable, and found to be so:
// a release that changes the dictionary sends everybody to the top of the menu once.
var edition = crc32.ChecksumIEEE(dictionary)

// Forms of a packed text, its first byte.
const (
	plain    = 'p'
	deflated = 'd' // four bytes of edition follow
)

var packers = sync.Pool{New: func() any {
	w, err := flate.NewWriterDict(io.Discard, flate.DefaultCompression, dictionary)
	if err != nil {
		panic("session: " + err.Error()) // the level is a constant
	}
	return w
}}

var unpackers = sync.Pool{New: func() any { return flate.NewReader(bytes.NewReader(nil)) }}

// pack makes a short text of parts; unpack gives them back. A nil part and an empty one are the same.
func pack(parts ...[]byte) []byte {
	var flat []byte
	for _, p := range parts {
		flat = binary.AppendUvarint(flat, uint64(len(p)))
		flat = append(flat, p...)
	}
	var b bytes.Buffer
	b.WriteByte(deflated)
	_ = binary.Write(&b, binary.BigEndian, edition) // a buffer takes everything, here and below
	w := packers.Get().(*flate.Writer)
	w.Reset(&b)
	_, _ = w.Write(flat)
	_ = w.Close()
	packers.Put(w)
	if b.Len() <= len(flat) {
		return b.Bytes()
	}
	return append([]byte{plain}, flat...)
}

// unpack gives back n parts, nil for empty ones; ok is false for a text that pack did not make with this dictionary.
func unpack(packed []byte, n int) (parts [][]byte, ok bool) {
	var flat []byte
	switch {
	case len(packed) > 0 && packed[0] == plain:
		flat = packed[1:]
	case len(packed) > 5 && packed[0] == deflated && binary.BigEndian.Uint32(packed[1:]) == edition:
		var err error
		if flat, err = inflate(packed[5:]); err != nil || len(flat) > maxUnpacked {
			return nil, false
		}
	default:
		return nil, false
	}
	for range n {
		size, used := binary.Uvarint(flat)
		if used <= 0 || size > uint64(len(flat)-used) {
			return nil, false
		}
		var part []byte
		if size > 0 {
			part = flat[used : used+int(size) : used+int(size)]
		}
		parts = append(parts, part)
		flat = flat[used+int(size):]
	}
	return parts, len(flat) == 0
}

func inflate(deflated []byte) ([]byte, error) {
	r := unpackers.Get().(io.Reader)
	defer unpackers.Put(r)
	if err := r.(flate.Resetter).Reset(bytes.NewReader(deflated), dictionary); err != nil {
		return nil, err
	}
	return io.ReadAll(io.LimitReader(r, maxUnpacked+1))
}

// kept is what Redis holds of the newest message, or for a short while of one before it.
type kept struct {
	place  string
	id     string
	marks  string
	state  []byte
	reply  []byte
	person []byte
	sentAt int64
}

func (k kept) encode() []byte {
	head := k.place + " " + k.id + " " + k.marks + "\n"
	return append([]byte(head), k.content()...)
}

func (k kept) content() []byte {
	return pack(k.state, k.reply, k.person, binary.AppendVarint(nil, k.sentAt))
}

// decodeKept reads the head as far as it can be read, even when the rest is damaged or of another edition: how far the
// messages have been worked on is known all the same.
func decodeKept(text string) (k kept, whole bool) {
	head, packed, found := strings.Cut(text, "\n")
	words := strings.Split(head, " ")
	if !found || len(words) != 3 {
		return kept{}, false
	}
	k.place, k.id, k.marks = words[0], words[1], words[2]
	parts, ok := unpack([]byte(packed), 4)
	if !ok {
		return k, false
	}
	k.state, k.reply, k.person = parts[0], parts[1], parts[2]
	k.sentAt, _ = binary.Varint(parts[3])
	return k, true
}

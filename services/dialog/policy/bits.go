package policy

import (
	"encoding/binary"
	mathbits "math/bits"
)

// bits is a set of small whole numbers below the size it was made with.
type bits []uint64

func newBits(n int) bits { return make(bits, (n+63)/64) }

func (b bits) set(i int)      { b[i>>6] |= 1 << (i & 63) }
func (b bits) unset(i int)    { b[i>>6] &^= 1 << (i & 63) }
func (b bits) has(i int) bool { return b[i>>6]&(1<<(i&63)) != 0 }

func (b bits) clone() bits { return append(make(bits, 0, len(b)), b...) }

func (b bits) add(o bits) {
	for i, w := range o {
		b[i] |= w
	}
}

func (b bits) remove(o bits) {
	for i, w := range o {
		b[i] &^= w
	}
}

func (b bits) empty() bool {
	for _, w := range b {
		if w != 0 {
			return false
		}
	}
	return true
}

// each calls f for every member, the smallest first.
func (b bits) each(f func(int)) {
	for i, w := range b {
		for ; w != 0; w &= w - 1 {
			f(i<<6 + mathbits.TrailingZeros64(w))
		}
	}
}

// appendTo writes the set as bytes, always as many for sets of one size.
func (b bits) appendTo(key []byte) []byte {
	for _, w := range b {
		key = binary.LittleEndian.AppendUint64(key, w)
	}
	return key
}

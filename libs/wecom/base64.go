package wecom

import "encoding/binary"

// base64Tables hold, for each of the four places of a quantum, what a character stands for, already shifted to where
// it belongs among the 24 bits. Characters outside the alphabet have the bit notBase64 set.
var base64Tables = func() (t [4][256]uint32) {
	const alphabet = "ABCDEFGHIJKLMNOPQRSTUVWXYZabcdefghijklmnopqrstuvwxyz0123456789+/"
	for place := range t {
		for c := range t[place] {
			t[place][c] = notBase64
		}
		for v := range len(alphabet) {
			t[place][alphabet[v]] = uint32(v) << (18 - 6*place)
		}
	}
	return t
}()

const notBase64 = 1 << 31

// decodedSize is the room that decodeBase64 needs for n characters.
func decodedSize(n int) int { return n / 4 * 3 }

// decodeBase64 decodes src into dst, which has room for decodedSize, and returns how many bytes there are. Only the
// canonical spelling is taken: whole quanta, '=' where it is due, spare bits zero, no line breaks. The standard
// library's strict decoder still skips line breaks, which would give one ciphertext many spellings, and costs as much
// as the decryption of a short message.
func decodeBase64(dst, src []byte) (int, bool) {
	if len(src)%4 != 0 {
		return 0, false
	}
	if len(src) == 0 {
		return 0, true
	}
	t0, t1, t2, t3 := &base64Tables[0], &base64Tables[1], &base64Tables[2], &base64Tables[3]
	bad, rest := uint32(0), dst
	// Sixteen characters are twelve bytes, written by two stores of eight: what is stored too much is overwritten by what
	// follows. The last quantum, which may be padded, is not for the loops.
	for len(src) > 20 && len(rest) >= 14 {
		a := t0[src[0]] | t1[src[1]] | t2[src[2]] | t3[src[3]]
		b := t0[src[4]] | t1[src[5]] | t2[src[6]] | t3[src[7]]
		bad |= a | b
		binary.BigEndian.PutUint64(rest, uint64(a)<<40|uint64(b)<<16)
		a = t0[src[8]] | t1[src[9]] | t2[src[10]] | t3[src[11]]
		b = t0[src[12]] | t1[src[13]] | t2[src[14]] | t3[src[15]]
		bad |= a | b
		binary.BigEndian.PutUint64(rest[6:], uint64(a)<<40|uint64(b)<<16)
		src, rest = src[16:], rest[12:]
	}
	for ; len(src) > 4; src, rest = src[4:], rest[3:] {
		a := t0[src[0]] | t1[src[1]] | t2[src[2]] | t3[src[3]]
		bad |= a
		rest[0], rest[1], rest[2] = byte(a>>16), byte(a>>8), byte(a)
	}
	a := t0[src[0]] | t1[src[1]]
	spare, size := uint32(0), 3
	switch {
	case src[2] == '=' && src[3] == '=':
		spare, size = 0xFFFF, 1
	case src[3] == '=':
		a |= t2[src[2]]
		spare, size = 0xFF, 2
	default:
		a |= t2[src[2]] | t3[src[3]]
	}
	if (bad|a)&notBase64 != 0 || a&spare != 0 {
		return 0, false
	}
	last := [3]byte{byte(a >> 16), byte(a >> 8), byte(a)}
	return len(dst) - len(rest) + copy(rest, last[:size]), true
}

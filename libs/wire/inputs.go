package wire

import "strings"

var inputEscapes = strings.NewReplacer(`\`, `\\`, `-`, `\-`)

// JoinInputs is the one text for what was typed since a remote node was entered: the accepted inputs joined by -, a -
// inside an input written \- and a \ written \\. No inputs make "". An input is never empty: a single empty one could
// not be told from none.
func JoinInputs(inputs []string) string {
	typed := make([]string, len(inputs))
	for i, in := range inputs {
		typed[i] = inputEscapes.Replace(in)
	}
	return strings.Join(typed, "-")
}

// SplitInputs undoes JoinInputs, and reads any other text as well: a \ at the end stands for nothing.
func SplitInputs(joined string) []string {
	if joined == "" {
		return nil
	}
	var out []string
	var b strings.Builder
	escaped := false
	for i := range len(joined) { // bytes: neither sign is part of a longer character
		switch c := joined[i]; {
		case escaped:
			b.WriteByte(c)
			escaped = false
		case c == '\\':
			escaped = true
		case c == '-':
			out = append(out, b.String())
			b.Reset()
		default:
			b.WriteByte(c)
		}
	}
	return append(out, b.String())
}

package token

import (
	"encoding/json"
	"math"
	"testing"

	"palmops/libs/fault"
)

// TestJSONIsSpeltAsInPython holds both styles against what json.dumps gives for the same value.
func TestJSONIsSpeltAsInPython(t *testing.T) {
	for _, c := range []struct {
		value          any
		compact, plain string
	}{
		{nil, `null`, `null`},
		{map[string]any{}, `{}`, `{}`},
		{[]int{}, `[]`, `[]`},
		{map[string]any{"b": []int{1, 2}, "a": true}, `{"a":true,"b":[1,2]}`, `{"a": true, "b": [1, 2]}`},
		{`,:"[]{}\`, `",:\"[]{}\\"`, `",:\"[]{}\\"`},
		{"<a>&</a>", `"<a>&</a>"`, `"<a>&</a>"`},
		{"\x00\b\t\n\f\r\x1f \x7f", `"\u0000\b\t\n\f\r\u001f ` + "\x7f" + `"`, `"\u0000\b\t\n\f\r\u001f \u007f"`},
		{"零售\u2028\u2029", "\"零售\u2028\u2029\"", `"\u96f6\u552e\u2028\u2029"`},
		{"😀\ufffd\uffff", "\"😀\ufffd\uffff\"", `"\ud83d\ude00\ufffd\uffff"`},
		{json.RawMessage(` { "a" : "\u4e2d\/\ud83d\uDE00" } `), `{"a":"中/😀"}`, `{"a": "\u4e2d/\ud83d\ude00"}`},
		{json.RawMessage(`[1.0,-0,1E5,1e5,1.50,100000000000000000000000]`), `[1.0,-0,1E5,1e5,1.50,100000000000000000000000]`, `[1.0, -0, 1E5, 1e5, 1.50, 100000000000000000000000]`},
		{json.Number("12345678901234567890"), `12345678901234567890`, `12345678901234567890`},
		{0.1, `0.1`, `0.1`},
		{2.5e-5, `2.5e-05`, `2.5e-05`},
		{1e-7, `1e-07`, `1e-07`},
		{1e-300, `1e-300`, `1e-300`},
		{1e22, `1e+22`, `1e+22`},
		{float32(0.1), `0.1`, `0.1`},
		{-1234.5, `-1234.5`, `-1234.5`},
		{int64(math.MinInt64), `-9223372036854775808`, `-9223372036854775808`},
		{"broken \xff", "\"broken \ufffd\"", `"broken \ufffd"`},
	} {
		for s, want := range map[style]string{compactJSON: c.compact, plainJSON: c.plain} {
			if got, err := encodeJSON(c.value, s); err != nil || string(got) != want {
				t.Errorf("%v: %s, %v, want %s", c.value, got, err, want)
			}
		}
	}
}

func TestJSONThatCannotBeWritten(t *testing.T) {
	for _, value := range []any{
		make(chan int), math.NaN(), math.Inf(1), json.RawMessage(`{`), json.RawMessage("\"\xff\""), json.RawMessage(`"\ud800"`),
		json.RawMessage(`"\udc00\ud800"`), json.RawMessage(`{"\ud800x":1}`), json.Number("x"),
	} {
		for _, s := range []style{compactJSON, plainJSON} {
			if got, err := encodeJSON(value, s); !fault.Is(err, fault.Invalid) {
				t.Errorf("%v: %s, %v", value, got, err)
			}
		}
	}
}

func TestLoadsIntoNothing(t *testing.T) {
	s, err := NewSerializer(vectorKey, Options{})
	if err != nil {
		t.Fatal(err)
	}
	text, err := s.Dumps(1)
	if err != nil {
		t.Fatal(err)
	}
	for _, v := range []any{nil, 1, (*int)(nil)} {
		if err := s.Loads(text, v); !fault.Is(err, fault.Internal) || ClassOf(err) != "" {
			t.Errorf("%v: %v", v, err) // the program's mistake, not the token's
		}
	}
}

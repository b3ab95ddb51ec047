package command

import (
	"bytes"
	"context"
	"encoding/json"
	"errors"
	"flag"
	"fmt"
	"io"
	"strconv"
	"time"

	"palmops/libs/token"
)

// maxInput bounds what the small tools read from standard input, in bytes.
const maxInput = 1 << 20

// tokenFlags are shared by sign and verify.
type tokenFlags struct {
	keys, keys2       texts
	salt, salt2       string
	digest, derive    string
	form              string
	saltSet, saltSet2 bool
}

func (t *tokenFlags) register(f *flag.FlagSet) {
	f.Var(&t.keys, "key", "secret key; given again it is a key list, oldest first")
	f.Var(&t.keys2, "key2", "key of the outer layer: TimestampSigner(key2).sign(URLSafeSerializer(key).dumps(value)); may be given again")
	f.StringVar(&t.salt, "salt", "", "salt of every layer (default: itsdangerous' own for each class)")
	f.StringVar(&t.salt2, "salt2", "", "salt of the outer layer (default: --salt)")
	f.StringVar(&t.digest, "digest", "sha1", "sha1, sha256 or sha512")
	f.StringVar(&t.derive, "key-derivation", "django-concat", "django-concat, concat, hmac or none")
	f.StringVar(&t.form, "form", "", "urlsafe-timed (default), urlsafe, timed, serializer, or layered (default with --key2); signer and timestamp take plain text instead of JSON")
}

// coder is one of the classes of itsdangerous, over JSON text or plain bytes.
type coder struct {
	sign   func(value []byte) (string, error)
	verify func(text string, maxAge time.Duration) ([]byte, time.Time, error)
}

func (t *tokenFlags) coder(f *flag.FlagSet) (coder, error) {
	f.Visit(func(fl *flag.Flag) {
		t.saltSet = t.saltSet || fl.Name == "salt"
		t.saltSet2 = t.saltSet2 || fl.Name == "salt2"
	})
	if len(t.keys) == 0 {
		return coder{}, errors.New("--key is missing")
	}
	digest, err := token.ParseDigest(t.digest)
	if err != nil {
		return coder{}, err
	}
	derivation, err := token.ParseDerivation(t.derive)
	if err != nil {
		return coder{}, err
	}
	o := token.Options{Salt: t.salt, EmptySalt: t.saltSet && t.salt == "", Digest: digest, Derivation: derivation}
	if t.form == "" {
		t.form = "urlsafe-timed"
		if len(t.keys2) > 0 {
			t.form = "layered"
		}
	}
	if (t.form == "layered") != (len(t.keys2) > 0) {
		return coder{}, errors.New("--key2 belongs to the form layered, and only to it")
	}
	if t.saltSet2 && t.form != "layered" {
		return coder{}, errors.New("--salt2 is the salt of the outer layer, and without --key2 there is none")
	}
	switch t.form {
	case "layered":
		o2 := o
		if t.saltSet2 {
			o2.Salt, o2.EmptySalt = t.salt2, t.salt2 == ""
		}
		return layered(t.keys, t.keys2, o, o2)
	case "signer", "timestamp":
		return plain(t.form, t.keys, o)
	case "urlsafe", "serializer":
		return untimed(t.form, t.keys, o)
	case "urlsafe-timed", "timed":
		return timed(t.form, t.keys, o)
	}
	return coder{}, fmt.Errorf("there is no form %q", t.form)
}

func secrets(list []string) [][]byte {
	out := make([][]byte, len(list))
	for i, k := range list {
		out[i] = []byte(k)
	}
	return out
}

func timed(form string, keys []string, o token.Options) (coder, error) {
	make := token.NewURLSafeTimedSerializer
	if form == "timed" {
		make = token.NewTimedSerializer
	}
	s, err := make(secrets(keys), o)
	if err != nil {
		return coder{}, err
	}
	return coder{
		sign: func(v []byte) (string, error) { return s.Dumps(json.RawMessage(v)) },
		verify: func(text string, maxAge time.Duration) ([]byte, time.Time, error) {
			var v json.RawMessage
			at, err := s.Loads(text, maxAge, &v)
			return v, at, err
		},
	}, nil
}

func untimed(form string, keys []string, o token.Options) (coder, error) {
	make := token.NewURLSafeSerializer
	if form == "serializer" {
		make = token.NewSerializer
	}
	s, err := make(secrets(keys), o)
	if err != nil {
		return coder{}, err
	}
	return coder{
		sign: func(v []byte) (string, error) { return s.Dumps(json.RawMessage(v)) },
		verify: func(text string, _ time.Duration) ([]byte, time.Time, error) {
			var v json.RawMessage
			err := s.Loads(text, &v)
			return v, time.Time{}, err
		},
	}, nil
}

func layered(keys, keys2 []string, o, o2 token.Options) (coder, error) {
	inner, err := token.NewURLSafeSerializer(secrets(keys), o)
	if err != nil {
		return coder{}, err
	}
	outer, err := token.NewTimestampSigner(secrets(keys2), o2)
	if err != nil {
		return coder{}, err
	}
	return coder{
		sign: func(v []byte) (string, error) {
			text, err := inner.Dumps(json.RawMessage(v))
			return string(outer.Sign([]byte(text))), err
		},
		verify: func(text string, maxAge time.Duration) ([]byte, time.Time, error) {
			signed, at, err := outer.Unsign([]byte(text), maxAge)
			if err != nil {
				return nil, at, err
			}
			var v json.RawMessage
			err = inner.Loads(string(signed), &v)
			return v, at, err
		},
	}, nil
}

func plain(form string, keys []string, o token.Options) (coder, error) {
	if form == "timestamp" {
		s, err := token.NewTimestampSigner(secrets(keys), o)
		if err != nil {
			return coder{}, err
		}
		return coder{
			sign: func(v []byte) (string, error) { return string(s.Sign(v)), nil },
			verify: func(text string, maxAge time.Duration) ([]byte, time.Time, error) {
				return s.Unsign([]byte(text), maxAge)
			},
		}, nil
	}
	s, err := token.NewSigner(secrets(keys), o)
	if err != nil {
		return coder{}, err
	}
	return coder{
		sign: func(v []byte) (string, error) { return string(s.Sign(v)), nil },
		verify: func(text string, _ time.Duration) ([]byte, time.Time, error) {
			v, err := s.Unsign([]byte(text))
			return v, time.Time{}, err
		},
	}, nil
}

func tokenSign(_ context.Context, s Streams, args []string) error {
	var t tokenFlags
	f := flags(s, "token sign")
	t.register(f)
	if err := noArgs(f, args); err != nil {
		return err
	}
	c, err := t.coder(f)
	if err != nil {
		return err
	}
	input, err := read(s.In)
	if err != nil {
		return err
	}
	if t.plainText() {
		input = line(input)
	} else if input = bytes.TrimSpace(input); !json.Valid(input) {
		return refuse(errors.New("standard input is not one JSON value"))
	}
	text, err := c.sign(input)
	if err != nil {
		return refuse(err)
	}
	fmt.Fprintln(s.Out, text)
	return nil
}

func tokenVerify(_ context.Context, s Streams, args []string) error {
	var t tokenFlags
	var age string
	f := flags(s, "token verify")
	t.register(f)
	f.StringVar(&age, "max-age", "", "greatest age, in seconds or as 2m (default: any)")
	if err := noArgs(f, args); err != nil {
		return err
	}
	c, err := t.coder(f)
	if err != nil {
		return err
	}
	maxAge, err := parseAge(age)
	if err != nil {
		return err
	}
	if age != "" && !t.hasTime() {
		return fmt.Errorf("--max-age: a token of the form %s carries no time", t.form)
	}
	input, err := read(s.In)
	if err != nil {
		return err
	}
	text := string(line(input))
	if !t.plainText() {
		text = tokenText(input)
	}
	value, _, err := c.verify(text, maxAge)
	if err != nil {
		return refuse(fmt.Errorf("%s: %w", token.ClassOf(err), err))
	}
	fmt.Fprintln(s.Out, string(value))
	return nil
}

// plainText reports whether the form signs text as it stands, so that its white space counts.
func (t *tokenFlags) plainText() bool { return t.form == "signer" || t.form == "timestamp" }

func (t *tokenFlags) hasTime() bool {
	return t.form == "layered" || t.form == "timestamp" || t.form == "timed" || t.form == "urlsafe-timed"
}

// line is the input without the line end that echo and editors put after it.
func line(input []byte) []byte { return bytes.TrimSuffix(input, []byte("\n")) }

// tokenText takes a token as it stands, or as a JSON string.
func tokenText(input []byte) string {
	input = bytes.TrimSpace(input)
	var text string
	if len(input) > 0 && input[0] == '"' && json.Unmarshal(input, &text) == nil {
		return text
	}
	return string(input)
}

// parseAge reads seconds, as Python's max_age, or a duration. Python's 0 accepts a token of this very second only.
func parseAge(text string) (time.Duration, error) {
	if text == "" {
		return token.AnyAge, nil
	}
	d, err := time.ParseDuration(text)
	if n, nerr := strconv.ParseInt(text, 10, 32); nerr == nil {
		d, err = time.Duration(n)*time.Second, nil
	}
	if err != nil || d < 0 {
		return 0, fmt.Errorf("--max-age: %q is neither a number of seconds nor a duration", text)
	}
	if d == 0 {
		return time.Nanosecond, nil
	}
	return d, nil
}

func read(r io.Reader) ([]byte, error) {
	data, err := io.ReadAll(io.LimitReader(r, maxInput+1))
	if err != nil {
		return nil, fmt.Errorf("standard input: %w", err)
	}
	if len(data) > maxInput {
		return nil, fmt.Errorf("standard input is longer than %d bytes", maxInput)
	}
	return data, nil
}

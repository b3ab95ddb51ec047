package command

import (
	"bytes"
	"encoding/json"
	"fmt"
	"strings"
	"testing"
	"time"
)

// TestTokenAndPythonReadEachOther: in every form, what one side signs the other verifies, with the order of keys kept;
// without a time and without compression both sides write the same bytes.
func TestTokenAndPythonReadEachOther(t *testing.T) {
	t.Parallel()
	type pair struct {
		setup       pyRequest
		value, ours string
	}
	var pairs []pair
	var requests []pyRequest
	for _, setup := range setups() {
		for _, v := range values {
			ours := strings.TrimSuffix(fine(t, v+"\n", setup.args("sign")...), "\n")
			pairs = append(pairs, pair{setup, v, ours})
			requests = append(requests, setup.signing(v), setup.verifying(ours))
		}
	}
	answers := python(t, requests...)
	for i, p := range pairs {
		theirs, read := answers[2*i], answers[2*i+1]
		what := fmt.Sprint(p.setup.args("sign"), " ", p.value)
		if read.Value != p.value || read.Class != "" {
			t.Errorf("%s: Python reads %+v in %s", what, read, p.ours)
		}
		for _, in := range []string{theirs.Token + "\n", p.ours} {
			if got := fine(t, in, p.setup.args("verify")...); !sameJSON(got, p.value) {
				t.Errorf("%s: %q in %s", what, got, in)
			}
		}
		timed := p.setup.Form != "urlsafe" && p.setup.Form != "serializer" && p.setup.Form != "signer"
		if !timed && !strings.HasPrefix(theirs.Token, ".") && theirs.Token != p.ours {
			t.Errorf("%s: ours %s, Python's %s", what, p.ours, theirs.Token)
		}
	}
}

// sameJSON compares what verify printed, which is the signed text itself, but for Python's spaces and escapes.
func sameJSON(got, want string) bool {
	body, ok := strings.CutSuffix(got, "\n")
	if !ok {
		return false
	}
	if body == want {
		return true
	}
	var compact, unescaped bytes.Buffer
	if json.Compact(&compact, []byte(body)) != nil {
		return false
	}
	for rest := compact.String(); rest != ""; {
		i := strings.Index(rest, `\u`)
		if i < 0 {
			unescaped.WriteString(rest)
			break
		}
		end := i
		for strings.HasPrefix(rest[end:], `\u`) {
			end += 6
		}
		var s string
		if json.Unmarshal([]byte(`"`+rest[i:end]+`"`), &s) != nil {
			return false
		}
		unescaped.WriteString(rest[:i] + s)
		rest = rest[end:]
	}
	return unescaped.String() == want
}

// TestTokenKeyListIsOldestFirst: the last key signs, all verify, in both layers.
func TestTokenKeyListIsOldestFirst(t *testing.T) {
	t.Parallel()
	old := pyRequest{Form: "layered", Keys: []string{"old"}, Keys2: []string{"outer old"}}
	both := pyRequest{Form: "layered", Keys: []string{"old", "new"}, Keys2: []string{"outer old", "outer new"}}
	fresh := pyRequest{Form: "layered", Keys: []string{"new"}, Keys2: []string{"outer new"}}
	const value = `{"a":"旧"}`
	rotated := strings.TrimSpace(fine(t, value, both.args("sign")...))
	answers := python(t, old.signing(value), both.signing(value), fresh.verifying(rotated), both.verifying(rotated), old.verifying(rotated))
	for i, want := range []pyAnswer{2: {Value: value}, {Value: value}, {Class: "BadTimeSignature"}} {
		if i >= 2 && answers[i] != want {
			t.Errorf("Python, request %d: %+v", i, answers[i])
		}
	}
	for _, in := range []string{answers[0].Token, answers[1].Token, rotated} {
		if got := fine(t, in, both.args("verify")...); got != value+"\n" {
			t.Errorf("%q", got)
		}
	}
	fine(t, answers[1].Token, fresh.args("verify")...)
	call(t, answers[0].Token, fresh.args("verify")...).refused(t, ExitRefused, "BadTimeSignature: ")
	call(t, rotated, old.args("verify")...).refused(t, ExitRefused, "BadTimeSignature: ")
	half := pyRequest{Form: "layered", Keys: []string{"another"}, Keys2: both.Keys2} // the outer signature holds
	call(t, rotated, half.args("verify")...).refused(t, ExitRefused, "BadSignature: ")
}

// TestTokenMaxAge compares the ages with Python's own judgement.
func TestTokenMaxAge(t *testing.T) {
	t.Parallel()
	for _, setup := range []pyRequest{
		{Form: "urlsafe-timed", Keys: []string{"k"}},
		{Form: "timed", Keys: []string{"k"}},
		{Form: "timestamp", Keys: []string{"k"}},
		{Form: "layered", Keys: []string{"k"}, Keys2: []string{"k2"}},
	} {
		made := python(t, setup.aged(100).signing(`"v"`), setup.aged(-100_000).signing(`"v"`))
		for _, c := range []struct {
			token  string
			maxAge int64
			class  string
		}{
			{made[0].Token, 0, "SignatureExpired"},
			{made[0].Token, 99, "SignatureExpired"},
			{made[0].Token, 100_000, ""},
			{made[1].Token, 0, "SignatureExpired"},
			{made[1].Token, 100_000, "SignatureExpired"},
		} {
			r := setup.within(c.maxAge).verifying(c.token)
			if got := python(t, r)[0].Class; got != c.class {
				t.Fatalf("%s, %d: Python says %q", setup.Form, c.maxAge, got)
			}
			got := call(t, c.token, r.args("verify")...)
			if c.class != "" {
				got.refused(t, ExitRefused, c.class+": ")
			} else if got.code != ExitFine || got.out != "\"v\"\n" {
				t.Errorf("%s, %d: %+v", setup.Form, c.maxAge, got)
			}
		}
		fine(t, made[0].Token, setup.args("verify")...)
		for age, ok := range map[string]bool{"99s": false, "1m30s": false, "50h": true, "": true} {
			if got := call(t, made[0].Token, append(setup.args("verify"), "--max-age", age)...); (got.code == ExitFine) != ok {
				t.Errorf("%s, --max-age %q: %+v", setup.Form, age, got)
			}
		}
		for { // within one second, a token is not older than 0
			now := time.Now().Unix()
			got := call(t, fine(t, `"v"`, setup.args("sign")...), setup.within(0).args("verify")...)
			if time.Now().Unix() != now {
				continue
			}
			if got.code != ExitFine {
				t.Errorf("%s: a token of this very second: %+v", setup.Form, got)
			}
			break
		}
	}
}

// TestTokenRefusesWithPythonsClass: every damaged token has the same class of refusal on both sides.
func TestTokenRefusesWithPythonsClass(t *testing.T) {
	t.Parallel()
	const secret = "do-not-print-this-key"
	timed := pyRequest{Form: "urlsafe-timed", Keys: []string{secret}}
	layered := pyRequest{Form: "layered", Keys: []string{secret}, Keys2: []string{secret + "2"}}
	plain := pyRequest{Form: "urlsafe", Keys: []string{secret}}
	// Signers under the serializers' salt sign what is no payload.
	rawTimed := pyRequest{Form: "timestamp", Keys: []string{secret}, Salt: text("itsdangerous")}
	raw := pyRequest{Form: "signer", Keys: []string{secret}, Salt: text("itsdangerous")}
	sign := func(r pyRequest, v string) string { return strings.TrimSpace(fine(t, v, r.args("sign")...)) }
	parts := func(tok string) []string { return strings.Split(tok, ".") }
	good := sign(timed, `"private-words"`)
	p := parts(good)
	var requests []pyRequest
	for name, c := range map[string]struct {
		setup pyRequest
		token string
	}{
		"empty":                     {timed, ""},
		"no separator":              {timed, "abc"},
		"another payload":           {timed, "ImV2aWwi." + p[1] + "." + p[2]},
		"another time":              {timed, p[0] + ".aaaaaa." + p[2]},
		"cut signature":             {timed, good[:len(good)-1]},
		"no signature":              {timed, p[0] + "." + p[1]},
		"of another form":           {timed, sign(plain, `"v"`)},
		"of the other salt":         {timed, sign(pyRequest{Form: timed.Form, Keys: timed.Keys, Salt: text("s")}, `"v"`)},
		"of another digest":         {timed, sign(pyRequest{Form: timed.Form, Keys: timed.Keys, Digest: "sha256"}, `"v"`)},
		"of another key":            {timed, sign(pyRequest{Form: timed.Form, Keys: []string{"x"}}, `"v"`)},
		"payload no base64":         {timed, sign(rawTimed, "abcde")},
		"payload no JSON":           {timed, sign(rawTimed, "e30x")},
		"payload no zlib":           {timed, sign(rawTimed, ".e30")},
		"untimed, no time":          {timed, sign(raw, "e30")},
		"untimed":                   {plain, sign(plain, `"v"`) + "x"},
		"untimed, of timed":         {plain, good},
		"untimed, no JSON":          {plain, sign(raw, "e30x")},
		"untimed, no separator":     {plain, "abc"},
		"layered, inner only":       {layered, sign(plain, `"v"`)},
		"layered, of one layer":     {layered, good},
		"layered, inner forged":     {layered, sign(pyRequest{Form: "layered", Keys: []string{"x"}, Keys2: layered.Keys2}, `"v"`)},
		"layered, outer forged":     {layered, sign(pyRequest{Form: "layered", Keys: layered.Keys, Keys2: []string{"x"}}, `"v"`)},
		"layered, inner not signed": {layered, sign(pyRequest{Form: "timestamp", Keys: layered.Keys2}, "e30")},
	} {
		requests = append(requests, c.setup.verifying(c.token))
		t.Log(len(requests)-1, name)
	}
	classes := map[string]bool{}
	for i, a := range python(t, requests...) {
		if a.Class == "" {
			t.Fatalf("%d: Python accepts it", i)
		}
		classes[a.Class] = true
		said := call(t, *requests[i].Verify, requests[i].args("verify")...).refused(t, ExitRefused)
		if !strings.HasPrefix(said, a.Class+": ") {
			t.Errorf("%d: Python says %s, we say %s", i, a.Class, said)
		}
		if strings.Contains(said, secret) || strings.Contains(said, "private-words") {
			t.Errorf("%d: a secret is shown: %s", i, said)
		}
	}
	for _, c := range []string{"BadSignature", "BadTimeSignature", "BadPayload"} {
		if !classes[c] {
			t.Errorf("no case is a %s", c)
		}
	}
}

func TestTokenVerifyTakesAJSONString(t *testing.T) {
	t.Parallel()
	tok := strings.TrimSpace(fine(t, `{"b":1,"a":2}`, "token", "sign", "--key", "k"))
	for _, in := range []string{`"` + tok + `"`, "  \"" + tok + "\"\r\n", tok, "\n " + tok + " \n"} {
		if got := fine(t, in, "token", "verify", "--key", "k"); got != "{\"b\":1,\"a\":2}\n" {
			t.Errorf("%q: %q", in, got)
		}
	}
	call(t, `"`+tok, "token", "verify", "--key", "k").refused(t, ExitRefused, "BadTimeSignature: ")
	call(t, `""`, "token", "verify", "--key", "k").refused(t, ExitRefused, "BadSignature: ")
}

// TestTokenPlainTextKeepsItsSpaces: signed text is bytes; only the line end that a shell adds is not part of it.
func TestTokenPlainTextKeepsItsSpaces(t *testing.T) {
	t.Parallel()
	for _, form := range []string{"signer", "timestamp"} {
		for _, v := range []string{"", " v ", "\tv\n", `"v"`, "值.a", "\r"} {
			tok := fine(t, v+"\n", "token", "sign", "--key", "k", "--form", form)
			if got := fine(t, tok, "token", "verify", "--key", "k", "--form", form); got != v+"\n" {
				t.Errorf("%s: %q became %q", form, v, got)
			}
		}
	}
}

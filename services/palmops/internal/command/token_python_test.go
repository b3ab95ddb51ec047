package command

import (
	"bytes"
	"encoding/json"
	"fmt"
	"os/exec"
	"strings"
	"testing"
)

// itsdangerous answers a list of requests with the real library. A request signs a value as if age seconds ago, or
// verifies a token; the answer has a token, a value or the class of the exception.
const itsdangerous = `
import hashlib, json, sys, time
import itsdangerous as its

def answer(r):
    class Clock(its.TimestampSigner):
        def get_timestamp(self):
            return int(time.time()) - r.get("age", 0)
    how = {"digest_method": getattr(hashlib, r.get("digest", "sha1"))}
    if "derivation" in r:
        how["key_derivation"] = r["derivation"]
    salt = {"salt": r["salt"]} if "salt" in r else {}
    salt2 = {"salt": r["salt2"]} if "salt2" in r else salt
    form, keys = r["form"], r["keys"]
    limit = {"max_age": r["max_age"]} if "max_age" in r else {}
    if form in ("signer", "timestamp"):
        signer = (its.Signer if form == "signer" else Clock)(keys, **salt, **how)
        if "sign" in r:
            return {"token": signer.sign(r["sign"]).decode()}
        return {"value": signer.unsign(r["verify"], **limit).decode()}
    if form == "layered":
        inner = its.URLSafeSerializer(keys, signer_kwargs=how, **salt)
        outer = Clock(r["keys2"], **salt2, **how)
        if "sign" in r:
            return {"token": outer.sign(inner.dumps(json.loads(r["sign"]))).decode()}
        value = inner.loads(outer.unsign(r["verify"], **limit))
    else:
        cls = {"urlsafe": its.URLSafeSerializer, "serializer": its.Serializer,
               "urlsafe-timed": its.URLSafeTimedSerializer, "timed": its.TimedSerializer}[form]
        timed = {"signer": Clock} if "timed" in form else {}
        s = cls(keys, signer_kwargs=how, **timed, **salt)
        if "sign" in r:
            return {"token": s.dumps(json.loads(r["sign"]))}
        value = s.loads(r["verify"], **limit)
    return {"value": json.dumps(value, ensure_ascii=False, separators=(",", ":"))}

def safe(r):
    try:
        return answer(r)
    except its.BadData as e:
        return {"class": type(e).__name__}

json.dump([safe(r) for r in json.load(sys.stdin)], sys.stdout)
`

type pyRequest struct {
	Form       string   `json:"form"`
	Keys       []string `json:"keys"`
	Keys2      []string `json:"keys2,omitempty"`
	Salt       *string  `json:"salt,omitempty"`
	Salt2      *string  `json:"salt2,omitempty"`
	Digest     string   `json:"digest,omitempty"`
	Derivation string   `json:"derivation,omitempty"`
	Age        int64    `json:"age,omitempty"`
	MaxAge     *int64   `json:"max_age,omitempty"`
	Sign       *string  `json:"sign,omitempty"`
	Verify     *string  `json:"verify,omitempty"`
}

type pyAnswer struct{ Token, Value, Class string }

// python runs Debian's Python, whatever else is first on the path. It fails, never skips, without the library.
func python(t testing.TB, requests ...pyRequest) []pyAnswer {
	t.Helper()
	in, err := json.Marshal(requests)
	if err != nil {
		t.Fatal(err)
	}
	cmd := exec.CommandContext(t.Context(), "/usr/bin/python3", "-c", itsdangerous)
	var out, errs bytes.Buffer
	cmd.Stdin, cmd.Stdout, cmd.Stderr = bytes.NewReader(in), &out, &errs
	if err := cmd.Run(); err != nil {
		t.Fatalf("python with itsdangerous (apt-get install python3-itsdangerous): %v\n%s", err, errs.String())
	}
	var answers []pyAnswer
	if err := json.Unmarshal(out.Bytes(), &answers); err != nil || len(answers) != len(requests) {
		t.Fatalf("%d answers to %d requests: %v\n%s", len(answers), len(requests), err, out.String())
	}
	return answers
}

// args is the request as flags. The form is left out where it is the default.
func (r pyRequest) args(verb string) []string {
	args := []string{"token", verb}
	for _, k := range r.Keys {
		args = append(args, "--key", k)
	}
	for _, k := range r.Keys2 {
		args = append(args, "--key2", k)
	}
	if r.Form != "urlsafe-timed" && r.Form != "layered" {
		args = append(args, "--form", r.Form)
	}
	for flag, v := range map[string]*string{"--salt": r.Salt, "--salt2": r.Salt2} {
		if v != nil {
			args = append(args, flag, *v)
		}
	}
	if r.Digest != "" {
		args = append(args, "--digest", r.Digest)
	}
	if r.Derivation != "" {
		args = append(args, "--key-derivation", r.Derivation)
	}
	if r.MaxAge != nil {
		args = append(args, "--max-age", fmt.Sprint(*r.MaxAge))
	}
	return args
}

func (r pyRequest) signing(value string) pyRequest { r.Sign = &value; return r }

func (r pyRequest) verifying(token string) pyRequest { r.Verify = &token; return r }

func (r pyRequest) aged(seconds int64) pyRequest { r.Age = seconds; return r }

func (r pyRequest) within(seconds int64) pyRequest { r.MaxAge = &seconds; return r }

func text(s string) *string { return &s }

func setups() []pyRequest {
	var all []pyRequest
	for _, form := range []string{"urlsafe-timed", "layered", "urlsafe", "timed", "serializer", "signer", "timestamp"} {
		base := pyRequest{Form: form, Keys: []string{"first key"}}
		if form == "layered" {
			base.Keys2 = []string{"outer key"}
		}
		list := func(r pyRequest) pyRequest {
			r.Keys = []string{"oldest", "older", "密钥三"}
			if form == "layered" {
				r.Keys2 = []string{"outer old", "outer new"}
			}
			return r
		}
		for _, digest := range []string{"", "sha1", "sha256", "sha512"} {
			r := base
			r.Digest = digest
			all = append(all, r)
			r.Salt = text("盐 palmops.claims")
			all = append(all, list(r))
		}
		for _, derivation := range []string{"django-concat", "concat", "hmac", "none"} {
			r := list(base)
			r.Derivation, r.Digest = derivation, "sha256"
			all = append(all, r)
		}
		r := base
		r.Salt = text("")
		all = append(all, r)
		if form == "layered" {
			r.Salt, r.Salt2 = text("inner"), text("outer")
			all = append(all, r)
			r.Salt2 = text("")
			all = append(all, list(r))
		}
	}
	return all
}

var values = []string{
	`{"zone":"local","action":"k8s.scale","args":{"replicas":5,"deployment":"web","at":"零售事业部 🚀 <&>"},"b":1,"a":[1,2.5,-3,true,null]}`,
	`"掌上运维"`, `[]`, `{}`, `0`, `null`, `"with \"quotes\", a . and a \\"`,
	`{"long":"` + strings.Repeat("调整 POD 数 ", 60) + `"}`, // compressed
}

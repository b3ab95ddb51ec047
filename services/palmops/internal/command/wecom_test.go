package command

import (
	"encoding/base64"
	"net/url"
	"os"
	"path/filepath"
	"regexp"
	"strings"
	"testing"

	"palmops/libs/wecom"
)

// The public example of WeCom's documentation.
const (
	exampleToken     = "QDG6eK"
	exampleKey       = "jWmYm7qr5nMoAUwZRjGtBxmz3KA1tkAj3ykkR6q2B2C"
	exampleCorp      = "wx5823bf96d3bd56c7"
	exampleTimestamp = "1409659589"
	exampleNonce     = "263014780"
	exampleSignature = "5c45ff5e21c57e6ad56bac8758b79b1d9ac89fd3"
	exampleEcho      = "P9nAzCzyDtyTWESHep1vC5X9xho/qYX3Zpb4yKa9SKld1DsH3Iyt3tP3zNdtp+4RPcs8TgAE7OaBO+FZXvnaqQ=="
	examplePlain     = "1616140317555161061"
)

// noWeComEnv keeps the machine's own credentials out of a test.
func noWeComEnv(t *testing.T) {
	for _, name := range []string{"WECOM_CORP_ID", "WECOM_TOKEN", "WECOM_ENCODING_AES_KEY"} {
		t.Setenv(name, "")
		t.Setenv(name+"_FILE", "")
	}
}

// with replaces or adds values of flags.
func with(args []string, pairs ...string) []string {
	out := append([]string{}, args...)
	for i := 0; i < len(pairs); i += 2 {
		found := false
		for j := 0; j+1 < len(out); j++ {
			if out[j] == pairs[i] {
				out[j+1], found = pairs[i+1], true
			}
		}
		if !found {
			out = append(out, pairs[i], pairs[i+1])
		}
	}
	return out
}

var (
	exampleApp   = []string{"--token", exampleToken, "--aes-key", exampleKey, "--corp-id", exampleCorp}
	exampleQuery = []string{"--msg-signature", exampleSignature, "--timestamp", exampleTimestamp, "--nonce", exampleNonce}
)

func wecomArgs(verb string, groups ...[]string) []string {
	args := []string{"wecom", verb}
	for _, g := range groups {
		args = append(args, g...)
	}
	return args
}

func exampleURL(echo string) string {
	return "https://ops.example.com/wecom/ops/callback?msg_signature=" + exampleSignature + "&timestamp=" + exampleTimestamp +
		"&nonce=" + exampleNonce + "&echostr=" + echo
}

func TestWeComVerifyThePublicExample(t *testing.T) {
	noWeComEnv(t)
	for name, query := range map[string][]string{
		"flags":           append([]string{"--echostr", exampleEcho}, exampleQuery...),
		"short flags":     {"--echostr", exampleEcho, "--signature", strings.ToUpper(exampleSignature), "--timestamp", exampleTimestamp, "--nonce", exampleNonce},
		"encoded URL":     {"--url", exampleURL(url.QueryEscape(exampleEcho))},
		"URL with plus":   {"--url", exampleURL(exampleEcho)},
		"query alone":     {"--url", strings.SplitN(exampleURL(exampleEcho), "?", 2)[1]},
		"query with mark": {"--url", "?" + strings.SplitN(exampleURL(url.QueryEscape(exampleEcho)), "?", 2)[1]},
		"path of a log":   {"--url", strings.TrimPrefix(exampleURL(url.QueryEscape(exampleEcho)), "https://ops.example.com")},
	} {
		if out := fine(t, "", wecomArgs("verify", exampleApp, query)...); out != examplePlain+"\n" {
			t.Errorf("%s: %q", name, out)
		}
	}
	if out := fine(t, "", wecomArgs("verify", exampleApp, exampleQuery, []string{"--encrypt", exampleEcho})...); out != "ok\n" {
		t.Errorf("%q", out)
	}
	long := []string{"--token", exampleToken, "--encoding-aes-key", exampleKey, "--receive-id", exampleCorp}
	fine(t, "", wecomArgs("verify", long, exampleQuery, []string{"--echostr", exampleEcho})...)
}

// signed is the flags of a query whose signature holds over any text.
func signed(encrypt string) []string {
	return with(exampleQuery, "--msg-signature", wecom.Signature(exampleToken, exampleTimestamp, exampleNonce, encrypt), "--echostr", encrypt)
}

// TestWeComRefusalsHaveTheOfficialCode: exit 2, the library's code first, and no secret in the text.
func TestWeComRefusalsHaveTheOfficialCode(t *testing.T) {
	noWeComEnv(t)
	raw := func(b []byte) string { return base64.StdEncoding.EncodeToString(b) }
	good := append([]string{"--echostr", exampleEcho}, exampleQuery...)
	flipped := raw(append(make([]byte, 32), must(base64.StdEncoding.DecodeString(exampleEcho))[32:]...))
	for _, c := range []struct {
		name, code string
		in         string
		args       []string
	}{
		{"signature", "-40001", "", wecomArgs("verify", exampleApp, with(good, "--msg-signature", strings.Repeat("0", 40)))},
		{"short signature", "-40001", "", wecomArgs("verify", exampleApp, with(good, "--msg-signature", "5c45"))},
		{"timestamp", "-40001", "", wecomArgs("verify", exampleApp, with(good, "--timestamp", "1409659590"))},
		{"nonce", "-40001", "", wecomArgs("verify", exampleApp, with(good, "--nonce", "263014781"))},
		{"token", "-40001", "", wecomArgs("verify", with(exampleApp, "--token", "QDG6eL"), good)},
		{"echostr", "-40001", "", wecomArgs("verify", exampleApp, with(good, "--echostr", "Q"+exampleEcho[1:]))},
		{"echostr with spaces", "-40001", "", wecomArgs("verify", exampleApp, with(good, "--echostr", strings.ReplaceAll(exampleEcho, "+", " ")))},
		{"URL without signature", "-40001", "", wecomArgs("verify", exampleApp, []string{"--url", "https://ops.example.com/?echostr=abc"})},
		{"URL with two", "-40001", "", wecomArgs("verify", exampleApp, []string{"--url", exampleURL(exampleEcho) + "&nonce=1"})},
		{"unusable token", "-40003", "", wecomArgs("verify", with(exampleApp, "--token", "QDG 6eK"), good)},
		{"short key", "-40004", "", wecomArgs("verify", with(exampleApp, "--aes-key", exampleKey[1:]), good)},
		{"long key", "-40004", "", wecomArgs("verify", with(exampleApp, "--aes-key", exampleKey+"="), good)},
		{"key no base64", "-40004", "", wecomArgs("verify", with(exampleApp, "--aes-key", "!"+exampleKey[1:]), good)},
		{"corp", "-40005", "", wecomArgs("verify", with(exampleApp, "--corp-id", "wx5823bf96d3bd56c8"), good)},
		{"half a block", "-40007", "", wecomArgs("verify", exampleApp, signed(raw(make([]byte, 48))))},
		{"padding", "-40008", "", wecomArgs("verify", exampleApp, signed(raw(make([]byte, 64))))},
		{"another key", "-40008", "", wecomArgs("verify", with(exampleApp, "--aes-key", strings.Repeat("A", 43)), good)},
		{"frame length", "-40008", "", wecomArgs("verify", exampleApp, signed(flipped))},
		{"cut base64", "-40010", "", wecomArgs("verify", exampleApp, signed(exampleEcho[:len(exampleEcho)-1]))},
		{"no base64", "-40010", "", wecomArgs("verify", exampleApp, signed("%%%%"))},
		{"not XML", "-40002", "hello <xml>", wecomArgs("decrypt", exampleApp, exampleQuery)},
		{"cut XML", "-40002", "<xml><Encrypt>abc", wecomArgs("decrypt", exampleApp, exampleQuery)},
		{"cut XML without a query", "-40002", "<xml><Encrypt>abc", wecomArgs("decrypt", exampleApp)},
		{"cut JSON", "-40002", `{"encrypt":"abc"`, wecomArgs("decrypt", exampleApp, exampleQuery)},
		{"no Encrypt", "-40002", "<xml><ToUserName>a</ToUserName></xml>", wecomArgs("decrypt", exampleApp)},
		{"two Encrypts", "-40002", "<xml><Encrypt>a</Encrypt><Encrypt>b</Encrypt></xml>", wecomArgs("decrypt", exampleApp, exampleQuery)},
		{"a DTD", "-40002", `<!DOCTYPE x><xml><Encrypt>a</Encrypt></xml>`, wecomArgs("decrypt", exampleApp, exampleQuery)},
		{"oversized", "-40002", "<xml>" + strings.Repeat(" ", wecom.MaxBody), wecomArgs("decrypt", exampleApp, exampleQuery)},
		{"foreign body", "-40001", "<xml><Encrypt>abcd</Encrypt></xml>", wecomArgs("decrypt", exampleApp, exampleQuery)},
		{"bad query", "-40001", "<xml><Encrypt>abcd</Encrypt></xml>", wecomArgs("decrypt", exampleApp, with(exampleQuery, "--nonce", "a b"))},
		{"bare, corp", "-40005", exampleEcho, wecomArgs("decrypt", with(exampleApp, "--corp-id", "other"))},
		{"bare, damaged", "-40007", "AAAA", wecomArgs("decrypt", exampleApp)},
		{"bare, no base64", "-40010", "a*b=", wecomArgs("decrypt", exampleApp)},
		{"too much to encrypt", "-40006", strings.Repeat("x", wecom.MaxBody+1), wecomArgs("encrypt", exampleApp)},
		{"timestamp to encrypt", "-40011", "x", wecomArgs("encrypt", exampleApp, []string{"--timestamp", "12"})},
		{"nonce to encrypt", "-40011", "x", wecomArgs("encrypt", exampleApp, []string{"--nonce", "a b", "--callback"})},
	} {
		t.Run(c.name, func(t *testing.T) {
			said := call(t, c.in, c.args...).refused(t, ExitRefused)
			if !strings.HasPrefix(said, c.code+" ") || strings.Count(said, "\n") != 1 {
				t.Errorf("want one line with %s: %s", c.code, said)
			}
			if strings.Contains(said, exampleKey[2:20]) || strings.Contains(said, exampleToken) {
				t.Errorf("a secret is shown: %s", said)
			}
		})
	}
	noCorp := []string{"--token", exampleToken, "--aes-key", exampleKey}
	call(t, "", wecomArgs("verify", noCorp, good)...).refused(t, ExitRefused, "-40005 ", "give --corp-id or WECOM_CORP_ID")
}

func must[V any](v V, err error) V {
	if err != nil {
		panic(err)
	}
	return v
}

func TestWeComBadUsage(t *testing.T) {
	noWeComEnv(t)
	missing := filepath.Join(t.TempDir(), "none.env")
	for _, c := range []struct {
		says string
		args []string
	}{
		{"--url with an echostr is needed", wecomArgs("verify", exampleApp, exampleQuery)},
		{"--msg-signature is missing", wecomArgs("verify", exampleApp, []string{"--echostr", exampleEcho})},
		{"--timestamp is missing", wecomArgs("verify", exampleApp, []string{"--echostr", exampleEcho, "--signature", exampleSignature})},
		{"--msg-signature is missing", wecomArgs("decrypt", exampleApp, []string{"--nonce", "1"})},
		{"WECOM_ENCODING_AES_KEY", wecomArgs("verify", []string{"--token", exampleToken}, exampleQuery)},
		{"WECOM_TOKEN", wecomArgs("decrypt", []string{"--aes-key", exampleKey})},
		{missing, wecomArgs("encrypt", []string{"--env-file", missing})},
		{"--url: ", wecomArgs("verify", exampleApp, []string{"--url", "?nonce=%zz"})},
	} {
		call(t, "<xml><Encrypt>a</Encrypt></xml>", c.args...).refused(t, ExitFailed, c.says)
	}
	call(t, " \n", wecomArgs("decrypt", exampleApp)...).refused(t, ExitFailed, "standard input is empty")
}

var plains = []string{
	"<xml><Content><![CDATA[掌上运维 ]]]]><![CDATA[> 1]]></Content></xml>", `{"msgtype":"text","text":{"content":"5 \" 🚀"}}`,
	"", "two\nlines\n", " spaces ", strings.Repeat("满", 10_000),
}

// TestWeComRoundTrip: what encrypt writes, decrypt reads, in both notations, as a reply and as a callback.
func TestWeComRoundTrip(t *testing.T) {
	noWeComEnv(t)
	for _, notation := range [][]string{nil, {"--json"}} {
		start := "<xml>"
		if notation != nil {
			start = "{"
		}
		for _, plain := range plains {
			reply := fine(t, plain+"\n", wecomArgs("encrypt", exampleApp, notation)...)
			if !strings.HasPrefix(reply, start) || len(plain) > 8 && strings.Contains(reply, plain) {
				t.Errorf("%q", reply)
			}
			got := call(t, reply, wecomArgs("decrypt", exampleApp)...)
			if got.code != ExitFine || got.out != plain+"\n" || got.err != "" {
				t.Errorf("reply: %+v", got)
			}
			// A damaged signature must not fall back to an unchecked reading.
			sig := regexp.MustCompile(`[0-9a-f]{40}`).FindString(reply)
			for _, wrong := range []string{strings.Repeat("0", 40), "0123", ""} {
				call(t, strings.Replace(reply, sig, wrong, 1), wecomArgs("decrypt", exampleApp)...).refused(t, ExitRefused, "-40001 ")
			}

			sealed := call(t, plain+"\n", wecomArgs("encrypt", exampleApp, notation,
				[]string{"--callback", "--agent-id", "1000002", "--timestamp", exampleTimestamp, "--nonce", exampleNonce})...)
			if sealed.code != ExitFine || !strings.HasPrefix(sealed.out, start) ||
				!strings.Contains(sealed.out, exampleCorp) || !strings.Contains(sealed.out, "1000002") {
				t.Fatalf("callback: %+v", sealed)
			}
			query := strings.TrimSpace(sealed.err)
			if !strings.HasPrefix(query, "?") || !strings.Contains(query, "timestamp="+exampleTimestamp) || !strings.Contains(query, "nonce="+exampleNonce) {
				t.Errorf("query: %q", query)
			}
			for _, u := range []string{query, "https://ops.example.com/wecom/ops/callback" + query} {
				got := call(t, sealed.out, wecomArgs("decrypt", exampleApp, []string{"--url", u})...)
				if got.code != ExitFine || got.out != plain+"\n" || got.err != "" {
					t.Errorf("callback: %+v", got)
				}
			}
			call(t, sealed.out, wecomArgs("decrypt", exampleApp, exampleQuery)...).refused(t, ExitRefused, "-40001 ")
			unchecked := call(t, sealed.out, wecomArgs("decrypt", exampleApp)...)
			if unchecked.code != ExitFine || unchecked.out != plain+"\n" || !strings.Contains(unchecked.err, "the signature was not checked") {
				t.Errorf("callback without its query: %+v", unchecked)
			}
		}
	}
	bare := call(t, exampleEcho+"\n", wecomArgs("decrypt", exampleApp)...)
	if bare.code != ExitFine || bare.out != examplePlain+"\n" || !strings.Contains(bare.err, "no signature to check") {
		t.Errorf("a bare ciphertext: %+v", bare)
	}
	named := fine(t, "x", wecomArgs("encrypt", exampleApp, []string{"--callback", "--to-user", "another"})...)
	if !strings.Contains(named, "another") || strings.Contains(named, exampleCorp) {
		t.Errorf("%s", named)
	}
	if a, b := fine(t, "x", wecomArgs("encrypt", exampleApp)...), fine(t, "x", wecomArgs("encrypt", exampleApp)...); a == b {
		t.Error("two encryptions are the same")
	}
}

// TestWeComCredentials: a flag wins over the environment, that over the file.
func TestWeComCredentials(t *testing.T) {
	noWeComEnv(t)
	query := append([]string{"--echostr", exampleEcho}, exampleQuery...)
	holds := func(args ...string) {
		t.Helper()
		if out := fine(t, "", wecomArgs("verify", args, query)...); out != examplePlain+"\n" {
			t.Errorf("%q", out)
		}
	}
	dir := t.TempDir()
	write := func(name, content string) string {
		path := filepath.Join(dir, name)
		if err := os.WriteFile(path, []byte(content), 0o600); err != nil {
			t.Fatal(err)
		}
		return path
	}
	good := write("good.env", "# app\nWECOM_TOKEN="+exampleToken+"\nWECOM_ENCODING_AES_KEY=\""+exampleKey+"\"\nWECOM_CORP_ID="+exampleCorp+"\nOTHER=1\n")
	wrong := write("wrong.env", "WECOM_TOKEN=wrong\nWECOM_ENCODING_AES_KEY="+strings.Repeat("A", 43)+"\nWECOM_CORP_ID=other\n")
	holds("--env-file", good)
	holds(append([]string{"--env-file", wrong}, exampleApp...)...)
	call(t, "", wecomArgs("verify", []string{"--env-file", wrong}, query)...).refused(t, ExitRefused, "-40001 ")
	broken := write("broken.env", "WECOM_TOKEN="+exampleToken+"\nno value\n")
	call(t, "", wecomArgs("verify", []string{"--env-file", broken}, query)...).refused(t, ExitFailed, broken+":2: ")

	t.Setenv("WECOM_TOKEN", exampleToken)
	t.Setenv("WECOM_ENCODING_AES_KEY", exampleKey)
	t.Setenv("WECOM_CORP_ID", exampleCorp)
	holds()
	holds("--env-file", wrong)
	call(t, "", wecomArgs("verify", []string{"--token", "wrong"}, query)...).refused(t, ExitRefused, "-40001 ")
	// An empty receiveid is one as well, and must not be filled in.
	call(t, "", wecomArgs("verify", []string{"--receive-id", ""}, query)...).refused(t, ExitRefused, "-40005 ")
	bot := fine(t, "{}", wecomArgs("encrypt", []string{"--receive-id", "", "--json"})...)
	fine(t, bot, wecomArgs("decrypt", []string{"--receive-id", ""})...)
	call(t, bot, wecomArgs("decrypt")...).refused(t, ExitRefused, "-40005 ")

	t.Setenv("WECOM_TOKEN_FILE", write("token", exampleToken+"\n"))
	call(t, "", wecomArgs("verify", query)...).refused(t, ExitFailed, "WECOM_TOKEN and WECOM_TOKEN_FILE are both set")
	t.Setenv("WECOM_TOKEN", "")
	t.Setenv("WECOM_ENCODING_AES_KEY", "")
	t.Setenv("WECOM_ENCODING_AES_KEY_FILE", write("key", exampleKey))
	t.Setenv("WECOM_CORP_ID", "")
	t.Setenv("WECOM_CORP_ID_FILE", write("corp", exampleCorp+"\n"))
	holds()
	t.Setenv("WECOM_CORP_ID_FILE", filepath.Join(dir, "none"))
	call(t, "", wecomArgs("verify", query)...).refused(t, ExitFailed, "WECOM_CORP_ID_FILE: ")
}

// TestWeComLocalEnvFile: the file that is shipped for local use can be named as it is.
func TestWeComLocalEnvFile(t *testing.T) {
	noWeComEnv(t)
	file := []string{"--env-file", filepath.Join(localConfig, "wecom.env")}
	sealed := fine(t, "你好", wecomArgs("encrypt", file)...)
	if out := fine(t, sealed, wecomArgs("decrypt", file)...); out != "你好\n" {
		t.Errorf("%q", out)
	}
}

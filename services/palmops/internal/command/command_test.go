package command

import (
	"os"
	"path/filepath"
	"runtime"
	"strings"
	"testing"

	"palmops/libs/token"
)

// result is what a command did to the outside.
type result struct {
	code     int
	out, err string
}

// call runs a command in this process.
func call(t testing.TB, in string, args ...string) result {
	t.Helper()
	var out, errs strings.Builder
	code := Main(t.Context(), Streams{In: strings.NewReader(in), Out: &out, Err: &errs}, args)
	return result{code, out.String(), errs.String()}
}

// fine is call for a command that must succeed; it gives what stands on standard output.
func fine(t testing.TB, in string, args ...string) string {
	t.Helper()
	r := call(t, in, args...)
	if r.code != ExitFine {
		t.Fatalf("palmops %s: exit %d\n%s", strings.Join(args, " "), r.code, r.err)
	}
	return r.out
}

// refused demands an exit code, nothing on standard output, and texts on standard error, which it gives.
func (r result) refused(t testing.TB, code int, texts ...string) string {
	t.Helper()
	if r.code != code || r.out != "" {
		t.Errorf("exit %d, want %d; printed %q\n%s", r.code, code, r.out, r.err)
	}
	for _, want := range texts {
		if !strings.Contains(r.err, want) {
			t.Errorf("no %q in\n%s", want, r.err)
		}
	}
	return r.err
}

func TestHelpListsEveryCommand(t *testing.T) {
	t.Parallel()
	for _, args := range [][]string{nil, {"help"}, {"-h"}, {"--help"}, {"-help"}, {"help", "token", "sign"}} {
		r := call(t, "", args...)
		if r.code != ExitFine || r.err != "" {
			t.Errorf("%q: exit %d, %q", args, r.code, r.err)
		}
		for _, c := range commands() {
			if !strings.Contains(r.out, "\n  "+c.name+" ") || !strings.Contains(r.out, c.does) {
				t.Errorf("%q does not show %s:\n%s", args, c.name, r.out)
			}
		}
	}
}

func TestHelpOfEveryCommand(t *testing.T) {
	t.Parallel()
	for _, c := range commands() {
		for _, flag := range []string{"-h", "--help"} {
			t.Run(c.name+" "+flag, func(t *testing.T) {
				r := call(t, "", append(strings.Fields(c.name), flag)...)
				if r.code != ExitFine || r.out+r.err == "" {
					t.Errorf("exit %d, printed %q and %q", r.code, r.out, r.err)
				}
			})
		}
	}
	r := call(t, "", "menu", "walk", "-h")
	for _, want := range []string{"usage: palmops menu walk INPUT… [--expect TEXT]", "walk the menu offline", "-answers"} {
		if !strings.Contains(r.err, want) {
			t.Errorf("no %q in\n%s", want, r.err)
		}
	}
}

func TestHelpForWhatIsNoCommand(t *testing.T) {
	t.Parallel()
	for _, c := range []struct {
		args []string
		says string
	}{
		{[]string{"chekc"}, `no command "chekc"`},
		{[]string{"token"}, `no command "token"`},
		{[]string{"token", "sing"}, `no command "token sing"`},
		{[]string{"menu", "--user", "zhangsan"}, `no command "menu"`},
		{[]string{"--nope"}, `no command "--nope"`},
		{[]string{""}, `no command ""`},
		{[]string{"tokens", "sign", "--key", "a-secret"}, `no command "tokens sign"`},
	} {
		said := call(t, "", c.args...).refused(t, ExitFailed, c.says+"\n", "usage: palmops COMMAND", "  token sign")
		if strings.Contains(said, "a-secret") {
			t.Errorf("%q repeats a secret:\n%s", c.args, said)
		}
	}
	for _, c := range commands() {
		t.Run(c.name, func(t *testing.T) {
			call(t, "", append(strings.Fields(c.name), "--no-such-flag")...).refused(t, ExitFailed, "no-such-flag")
		})
	}
	for _, name := range []string{"check", "version", "token sign", "token verify", "wecom verify", "wecom decrypt", "wecom encrypt", "keys init", "sim", "run"} {
		call(t, "", append(strings.Fields(name), "surplus")...).refused(t, ExitFailed, "palmops "+name+": ", `unexpected argument "surplus"`)
	}
}

func TestVersion(t *testing.T) {
	t.Parallel()
	fields := strings.Fields(fine(t, "", "version"))
	if len(fields) != 6 || fields[0] != "palmops" || fields[1] != Version || fields[2] != "revision" || fields[3] == "" ||
		fields[4] != runtime.Version() || fields[5] != runtime.GOOS+"/"+runtime.GOARCH {
		t.Errorf("%q", fields)
	}
}

func TestKeysInitMakesPrivateFiles(t *testing.T) {
	t.Parallel()
	dir := filepath.Join(t.TempDir(), "deep", "keys")
	local, plant := filepath.Join(dir, "local.json"), filepath.Join(dir, "plant-2.json")
	if out := fine(t, "", "keys", "init", "--dir", dir); out != "made "+local+"\n" {
		t.Errorf("%q", out)
	}
	first, err := os.ReadFile(local)
	if err != nil {
		t.Fatal(err)
	}
	if out := fine(t, "", "keys", "init", "--dir", dir, "--zone", "local", "--zone", "plant-2"); out != "kept "+local+"\nmade "+plant+"\n" {
		t.Errorf("%q", out)
	}
	again, err := os.ReadFile(local)
	if err != nil || string(again) != string(first) {
		t.Errorf("the keys were changed: %v", err)
	}
	seen := map[string]bool{}
	for zone, path := range map[string]string{"local": local, "plant-2": plant} {
		info, err := os.Stat(path)
		if err != nil || info.Mode() != 0o600 {
			t.Fatalf("%s: %v, %v", path, info, err)
		}
		data, err := os.ReadFile(path)
		if err != nil {
			t.Fatal(err)
		}
		keys, err := token.ParseKeySet(data)
		if err != nil || keys.Zone != zone {
			t.Fatalf("%s: zone %q, %v", path, keys.Zone, err)
		}
		for _, k := range append(keys.Payload, keys.Stamp...) {
			if seen[k] {
				t.Error("two lists share a key")
			}
			seen[k] = true
		}
	}
	if info, err := os.Stat(dir); err != nil || info.Mode().Perm() != 0o700 {
		t.Errorf("%v, %v", info, err)
	}
}

func TestKeysInitNeverOverwrites(t *testing.T) {
	t.Parallel()
	dir := t.TempDir()
	path := filepath.Join(dir, "local.json")
	const content = "written by hand, and not even JSON"
	if err := os.WriteFile(path, []byte(content), 0o600); err != nil {
		t.Fatal(err)
	}
	if out := fine(t, "", "keys", "init", "--dir", dir); !strings.HasPrefix(out, "kept ") {
		t.Errorf("%q", out)
	}
	if data, err := os.ReadFile(path); err != nil || string(data) != content {
		t.Errorf("%q, %v", data, err)
	}
}

func TestKeysInitRefuses(t *testing.T) {
	t.Parallel()
	dir := t.TempDir()
	for _, zone := range []string{"", "Upper", "../outside", "a b", "区", strings.Repeat("z", 64)} {
		call(t, "", "keys", "init", "--dir", filepath.Join(dir, "keys"), "--zone", zone).refused(t, ExitFailed, "the zone must be")
	}
	file := filepath.Join(dir, "file")
	if err := os.WriteFile(file, nil, 0o600); err != nil {
		t.Fatal(err)
	}
	call(t, "", "keys", "init", "--dir", file).refused(t, ExitFailed, "palmops keys init: ", file)
	if entries, err := os.ReadDir(dir); err != nil || len(entries) != 1 {
		t.Errorf("left behind: %v, %v", entries, err)
	}
}

func TestTokenBadUsage(t *testing.T) {
	t.Parallel()
	for _, c := range []struct{ args, says string }{
		{"sign", "--key is missing"},
		{"verify", "--key is missing"},
		{"sign --key=", "key 1 of 1 is empty"},
		{"sign --key=k --key2=", "key 1 of 1 is empty"},
		{"sign --key=k --digest=md5", "sha1, sha256, sha512"},
		{"sign --key=k --key-derivation=scrypt", "django-concat"},
		{"sign --key=k --form=jws", `no form "jws"`},
		{"sign --key=k --form=layered", "--key2"},
		{"sign --key=k --key2=l --form=timed", "--key2"},
		{"sign --key=k --salt2=s", "--salt2"},
		{"verify --key=k --max-age=soon", "--max-age"},
		{"verify --key=k --max-age=-1", "--max-age"},
		{"verify --key=k --max-age=1.5", "--max-age"},
		{"verify --key=k --max-age=99999999999999999999", "--max-age"},
		{"verify --key=k --max-age=60 --form=urlsafe", "carries no time"},
		{"verify --key=k --max-age=60 --form=signer", "carries no time"},
		{"sign --key=k --max-age=60", "max-age"},
		{"sign --key", "flag needs an argument"},
	} {
		args := append([]string{"token"}, strings.Fields(c.args)...)
		call(t, `"v"`, args...).refused(t, ExitFailed, c.says)
	}
	call(t, strings.Repeat(" ", maxInput+1), "token", "sign", "--key", "k").refused(t, ExitFailed, "longer than")
	for _, in := range []string{"", "  ", "{", "{} {}", "NaN", "{a:1}", "\xff", `"\ud800"`} {
		call(t, in, "token", "sign", "--key", "k").refused(t, ExitRefused)
	}
}

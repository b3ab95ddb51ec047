package render

import (
	"flag"
	"os"
	"path/filepath"
	"strconv"
	"strings"
	"testing"
	"time"
	"unicode/utf8"

	"github.com/google/go-cmp/cmp"
	"pgregory.net/rapid"

	"palmops/libs/lang"
	"palmops/libs/lang/langtest"
	"palmops/libs/wire"
)

var update = flag.Bool("update", false, "rewrite the golden files")

func TestGoldens(t *testing.T) {
	menu := wire.Screen{
		Kind: wire.ScreenMenu, Title: "零售事业部", Body: []string{"请选择："},
		Choices: []wire.Choice{{Key: "1", Label: "Kubernetes 操作"}, {Key: "2", Label: "查看部署", Detail: "只读"}},
		Keys:    "0 返回 · # 退出 · ? 帮助",
	}
	for name, screens := range map[string][]wire.Screen{
		"menu": {menu},
		"page": {{
			Kind: wire.ScreenMenu, Note: "没有第 12 项，请重新选择。", Title: "选择 deployment",
			Choices: []wire.Choice{{Key: "1", Label: "web", Detail: "3/3 就绪"}, {Key: "2", Label: "cart", Detail: "2/2 就绪"}},
			Page:    1, Pages: 3, Keys: "+ 下一页 · 0 返回",
		}},
		"confirm": {{
			Kind: wire.ScreenConfirm, Title: "请确认", Body: []string{"shop/web：3 → 5"},
			Choices: []wire.Choice{{Key: "1", Label: "确认执行"}}, Keys: "0 返回修改 · # 退出",
		}},
		"several": {{Kind: wire.ScreenAccepted, Body: []string{"已受理，编号 #A1B2C3"}}, {}, menu},
		"harmful": {{
			Note: "两\n行", Title: "a\x00b\x1b[31m红", Body: []string{"行一\r\n行二\u2028行三\r行四\t制表", "<a href=\"http://x\">点我</a> < 3 <abc> <A>", "坏\xff字节", ""},
			Choices: []wire.Choice{{Key: "1", Label: "x\n2. 确认执行", Detail: "\u202eabc\u2066d\u200f"}},
		}},
		"empty": {{Kind: wire.ScreenNotice}},
	} {
		t.Run(name, func(t *testing.T) {
			path := filepath.Join("testdata", name+".txt")
			got := Text(screens, lang.Chinese)
			if *update {
				if err := os.WriteFile(path, []byte(got), 0o600); err != nil {
					t.Fatal(err)
				}
			}
			want, err := os.ReadFile(path)
			if err != nil {
				t.Fatal(err)
			}
			if diff := cmp.Diff(string(want), got); diff != "" {
				t.Error(diff)
			}
		})
	}
	if Text(nil, lang.Chinese) != "" || Parts("", 2048) != nil {
		t.Error("nothing to show shows something")
	}
}

func TestEveryTextHasBothLanguages(t *testing.T) {
	langtest.Check(t, texts, ".")
	s := []wire.Screen{{Title: "t", Page: 2, Pages: 3}}
	if zh, en := Text(s, lang.Chinese), Text(s, lang.English); zh != "【t】\n第 2/3 页" || en != "【t】\nPage 2 of 3" {
		t.Errorf("%q, %q", zh, en)
	}
	at := time.Date(2026, 11, 23, 6, 2, 11, 0, time.UTC)
	if a, b := Late("1", at, lang.English), Late("", at, lang.English); a != "Reply to “1” (sent 14:02:11)" || b != "Reply to your message of 14:02:11" {
		t.Errorf("%q, %q", a, b)
	}
}

func TestLate(t *testing.T) {
	at := time.Date(2026, 11, 23, 6, 2, 11, 0, time.UTC)
	for said, want := range map[string]string{
		"1": "「1」的回复（14:02:11 发）",
		"":  "14:02:11 的消息的回复",
		"一二三四五六七八九十一二三四五六七": "「一二三四五六七八九十一二三四五六…」的回复（14:02:11 发）",
		"a\nb": "「a b」的回复（14:02:11 发）",
	} {
		if got := Late(said, at, lang.Chinese); got != want {
			t.Errorf("%q: %q, want %q", said, got, want)
		}
	}
}

func TestCutsPreferLineBreaksAndWholeCharacters(t *testing.T) {
	line := strings.Repeat("x", 29) + "\n"
	for i, p := range Parts(strings.Repeat(line, 40), 128) {
		if body := p[strings.IndexByte(p, '\n')+1:]; len(body)%len(line) != 0 {
			t.Errorf("part %d tears a line: %q", i, body)
		}
	}
	family := "👨‍👩‍👧‍👦" // four people joined to one character of 25 bytes
	for i, p := range Parts(strings.Repeat(family, 20), 130) {
		if body := p[strings.IndexByte(p, '\n')+1:]; strings.ReplaceAll(body, family, "") != "" {
			t.Errorf("part %d tears a character: %q", i, body)
		}
	}
	marks := "e" + strings.Repeat("\u0301", 4000) // one character without an end
	if n := len(Parts(marks, 2048)); n < 4 || n > 6 {
		t.Errorf("%d parts", n)
	}
}

// Whatever the text, every part is valid UTF-8 within the limit and numbered, and together they are the text.
func TestPartsLoseNothing(t *testing.T) {
	rapid.Check(t, func(t *rapid.T) {
		text := clean(strings.Repeat(rapid.String().Draw(t, "text"), rapid.IntRange(1, 200).Draw(t, "times")))
		limit := rapid.IntRange(64, 2048).Draw(t, "limit")
		checkParts(t, text, limit)
	})
	checkParts(t, strings.Repeat("行\n", 4000), 64)
	checkParts(t, strings.Repeat("𠮷", 40000), 64)
	checkParts(t, strings.Repeat("a", 2048), 2048)
	checkParts(t, strings.Repeat("a", 2049), 2048)
}

func checkParts(t interface {
	Helper()
	Fatalf(string, ...any)
}, text string, limit int,
) {
	t.Helper()
	var all strings.Builder
	parts := Parts(text, limit)
	for i, p := range parts {
		if len(p) > limit || p == "" || !utf8.ValidString(p) {
			t.Fatalf("part %d: %d bytes, valid %v", i+1, len(p), utf8.ValidString(p))
		}
		if len(parts) > 1 {
			head := "(" + strconv.Itoa(i+1) + "/" + strconv.Itoa(len(parts)) + ")\n"
			if !strings.HasPrefix(p, head) {
				t.Fatalf("part %d begins %q", i+1, p[:min(len(p), 12)])
			}
			p = p[len(head):]
		}
		all.WriteString(p)
	}
	if all.String() != text {
		t.Fatalf("%d parts of %d bytes are not the text", len(parts), len(text))
	}
}

// Whatever a screen holds, its text is harmless and one choice is one line.
func TestTextIsHarmless(t *testing.T) {
	rapid.Check(t, func(t *rapid.T) {
		label := rapid.String().Draw(t, "label") + string(rapid.SliceOf(rapid.Byte()).Draw(t, "bytes"))
		text := Text([]wire.Screen{{Choices: []wire.Choice{{Key: "1", Label: label, Detail: label}}}}, lang.Chinese)
		if !utf8.ValidString(text) || strings.Contains(text, "\n") {
			t.Fatalf("%q", text)
		}
		for _, r := range text {
			if r != '\t' && forbidden(r) {
				t.Fatalf("%q holds %U", text, r)
			}
		}
		if clean(text) != text {
			t.Fatalf("%q is not stable", text)
		}
	})
}

func FuzzText(f *testing.F) {
	f.Add("a", "b\nc", "<a href=x>", 100)
	f.Add("\xff", "\u202e", "< /A>", 64)
	f.Fuzz(func(t *testing.T, note, body, label string, limit int) {
		text := Text([]wire.Screen{{Note: note, Body: []string{body}, Choices: []wire.Choice{{Key: "1", Label: label}}}}, lang.Chinese)
		if !utf8.ValidString(text) || strings.Contains(strings.ToLower(text), "<a ") {
			t.Fatalf("%q", text)
		}
		checkParts(t, text, max(64, min(limit, 4096)))
		Parts(note, limit) // any bytes at all
	})
}

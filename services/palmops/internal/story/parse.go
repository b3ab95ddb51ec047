// Package story reads and plays conversations: who says what, and what must come back.
//
// A story is a txtar archive. Its comment tells what it is about; the file "story" holds the lines. Files under config/
// are the configuration the world begins with, where it shall differ from the shipped one; every other file can take the
// place of a configuration file while the story goes on:
//
//	zhangsan> 菜单                 zhangsan types 菜单
//	  掌上运维                      … and these texts come back, in this order, possibly with others between them
//	  1. 零售事业部
//	zhangsan> [零售事业部]          types the number that stood in front of 零售事业部
//	zhangsan> {请输入 (\d+)}        types what the parentheses found in the last answer
//	zhangsan> 一行\n又一行          \n is a line break
//	zhangsan! 确认执行              presses the button with that text on the newest card that still has buttons
//	  ! 支付事业部                  … and this text does not come back
//	  [png 900x600] k8s.cpu          … an image of that size comes, with that name
//	zhangsan< later                waits for something that comes without being asked
//	  3 → 5
//	replace policy.yaml without.yaml   from now on the file without.yaml of the archive is the policy
//	refused menu.yaml broken.yaml      the same, but the system must refuse the file and go on with the old one
//	# a remark
package story

import (
	"fmt"
	"strings"

	"github.com/rogpeppe/go-internal/txtar"
)

// Story is a parsed story.
type Story struct {
	Name  string
	About string
	Steps []Step
	Files map[string][]byte
}

// Kinds of steps.
const (
	Says    = "says"
	Presses = "presses"
	Hears   = "hears"
	Replace = "replace"
	Refused = "refused"
)

// Step is one act and what must be heard after it.
type Step struct {
	Line   int // in the archive's file "story", from 1
	Kind   string
	User   string
	Text   string // what is typed or pressed; or the file to replace
	With   string // the archive's file that replaces it
	Expect []string
	Never  []string
}

// Parse reads an archive. The error names the line of the first mistake.
func Parse(name string, data []byte) (Story, error) {
	archive := txtar.Parse(data)
	s := Story{Name: name, About: strings.TrimSpace(string(archive.Comment)), Files: map[string][]byte{}}
	text, found := "", false
	for _, f := range archive.Files {
		if f.Name == "story" {
			text, found = string(f.Data), true
			continue
		}
		s.Files[f.Name] = f.Data
	}
	if !found {
		return Story{}, fmt.Errorf("%s: the archive has no file named story", name)
	}
	for i, line := range strings.Split(text, "\n") {
		if err := s.add(i+1, strings.TrimRight(line, " \t\r")); err != nil {
			return Story{}, fmt.Errorf("%s: story line %d: %w", name, i+1, err)
		}
	}
	if len(s.Steps) == 0 {
		return Story{}, fmt.Errorf("%s: nobody says anything", name)
	}
	return s, nil
}

func (s *Story) add(n int, line string) error {
	switch {
	case line == "" || strings.HasPrefix(line, "#"):
		return nil
	case line[0] == ' ' || line[0] == '\t':
		return s.expect(strings.TrimSpace(line))
	case strings.HasPrefix(line, "replace "), strings.HasPrefix(line, "refused "):
		words := strings.Fields(line)
		if len(words) != 3 {
			return fmt.Errorf("%s takes a configuration file and a file of the archive", words[0])
		}
		if _, ok := s.Files[words[2]]; !ok {
			return fmt.Errorf("the archive has no file %s", words[2])
		}
		s.Steps = append(s.Steps, Step{Line: n, Kind: words[0], Text: words[1], With: words[2]})
		return nil
	}
	if user, text, ok := strings.Cut(line, ">"); ok && word(user) {
		text = strings.ReplaceAll(strings.TrimPrefix(text, " "), `\n`, "\n")
		s.Steps = append(s.Steps, Step{Line: n, Kind: Says, User: user, Text: text})
		return nil
	}
	if user, text, ok := strings.Cut(line, "!"); ok && word(user) {
		s.Steps = append(s.Steps, Step{Line: n, Kind: Presses, User: user, Text: strings.TrimSpace(text)})
		return nil
	}
	if user, rest, ok := strings.Cut(line, "<"); ok && word(user) && strings.TrimSpace(rest) == "later" {
		s.Steps = append(s.Steps, Step{Line: n, Kind: Hears, User: user})
		return nil
	}
	return fmt.Errorf("%q is neither USER> TEXT, nor USER! BUTTON, nor USER< later, nor replace, nor an indented expectation", line)
}

func (s *Story) expect(text string) error {
	if len(s.Steps) == 0 {
		return fmt.Errorf("an expectation before anybody said anything")
	}
	st := &s.Steps[len(s.Steps)-1]
	if st.Kind == Replace || st.Kind == Refused {
		return fmt.Errorf("nothing comes back from %s", st.Kind)
	}
	if not, ok := strings.CutPrefix(text, "! "); ok {
		st.Never = append(st.Never, not)
		return nil
	}
	st.Expect = append(st.Expect, text)
	return nil
}

func word(s string) bool {
	return s != "" && !strings.ContainsAny(s, " \t")
}

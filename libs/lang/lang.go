// Package lang holds what people read, in the languages they read.
//
// A package that speaks to people keeps its sentences in one YAML file, each key with every language beside the others:
//
//	exit.title: {zh: 已退出, en: Left}
//
// and reads it once with MustLoad. A sentence that lacks a language, or takes other arguments in one than in the other,
// is refused when the program starts, so that a missing translation is found by any test of the package.
package lang

import (
	"fmt"
	"regexp"
	"slices"
	"strings"

	"go.yaml.in/yaml/v4"
)

// Tag names a language, by its two letters of ISO 639-1.
type Tag string

// The languages. Chinese comes first: it is what everybody reads who has not chosen, and what counts in doubt.
const (
	Chinese Tag = "zh"
	English Tag = "en"
)

// Of reads a tag; everything unknown is Chinese.
func Of(s string) Tag {
	if Tag(s) == English {
		return English
	}
	return Chinese
}

// Words is one text in the languages its author wrote it in. The zero value is no text.
type Words struct{ ZH, EN string }

// In is the text in a language, or the one there is.
func (w Words) In(t Tag) string {
	if t == English && w.EN != "" || w.ZH == "" {
		return w.EN
	}
	return w.ZH
}

// Empty reports whether there is no text at all.
func (w Words) Empty() bool { return w.ZH == "" && w.EN == "" }

// Catalog is the sentences of one package. It never changes after MustLoad.
type Catalog struct{ words map[string]Words }

// MustLoad reads a catalog: a mapping of keys to {zh: …, en: …}, with the verbs of package fmt in the sentences. It
// panics on a mistake, which can only be a programmer's: the file is part of the program.
func MustLoad(file []byte) *Catalog {
	c, err := load(file)
	if err != nil {
		panic("lang: " + err.Error())
	}
	return c
}

func load(file []byte) (*Catalog, error) {
	var raw map[string]map[Tag]string
	if err := yaml.Unmarshal(file, &raw); err != nil {
		return nil, err
	}
	c := &Catalog{words: make(map[string]Words, len(raw))}
	for key, texts := range raw {
		w := Words{ZH: texts[Chinese], EN: texts[English]}
		switch {
		case len(texts) != 2 || w.ZH == "" || w.EN == "":
			return nil, fmt.Errorf("%s needs exactly zh and en", key)
		case !slices.Equal(verbs(w.ZH), verbs(w.EN)):
			return nil, fmt.Errorf("%s takes %v in Chinese and %v in English; write %%[1]s, %%[2]d where the order differs", key, verbs(w.ZH), verbs(w.EN))
		}
		c.words[key] = w
	}
	return c, nil
}

var verb = regexp.MustCompile(`%(\[\d+\])?[-+# 0]*\d*(\.\d+)?[a-zA-Z%]`)

// verbs lists the arguments a sentence takes, in their order.
func verbs(s string) []string {
	var out []string
	n := 0
	for _, m := range verb.FindAllStringSubmatch(s, -1) {
		if m[0] == "%%" {
			continue
		}
		n++
		at := m[1]
		if at == "" {
			at = fmt.Sprintf("[%d]", n)
		}
		out = append(out, at+m[0][len(m[0])-1:])
	}
	slices.Sort(out)
	return slices.Compact(out)
}

// Say is a sentence in a language, filled in with args as by fmt.Sprintf. An unknown key is itself in brackets, which
// langtest.Check finds.
func (c *Catalog) Say(t Tag, key string, args ...any) string {
	w, ok := c.words[key]
	if !ok {
		return "[" + key + "]"
	}
	if len(args) == 0 {
		return strings.ReplaceAll(w.In(t), "%%", "%")
	}
	return fmt.Sprintf(w.In(t), args...)
}

// Keys lists all keys, sorted.
func (c *Catalog) Keys() []string {
	keys := make([]string, 0, len(c.words))
	for k := range c.words {
		keys = append(keys, k)
	}
	slices.Sort(keys)
	return keys
}

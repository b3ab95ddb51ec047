// Package conf reads configuration: strict YAML files, and the few values that come from the environment.
//
// Strict means that an unknown key, a duplicate key, a wrong type, a second document and an empty file are errors, and that
// all of them are reported at once, each with file and line. It is the only package that looks at the environment.
package conf

import (
	"bytes"
	"errors"
	"fmt"
	"os"
	"path/filepath"
	"sort"
	"strings"
	"time"

	"go.yaml.in/yaml/v4"

	"palmops/libs/fault"
)

// MaxFile is the largest configuration file, in bytes.
const MaxFile = 1 << 20

// Problem is one mistake in a file.
type Problem struct {
	File string
	Line int // from 1; 0 when it concerns the whole file
	Text string
}

func (p Problem) Error() string {
	if p.Line == 0 {
		return fmt.Sprintf("%s: %s", p.File, p.Text)
	}
	return fmt.Sprintf("%s:%d: %s", p.File, p.Line, p.Text)
}

// FaultKind makes every mistake in a file an invalid input.
func (p Problem) FaultKind() fault.Kind { return fault.Invalid }

// Problems are all mistakes found, in the order of their files and lines.
type Problems []Problem

// Add notes one more mistake.
func (ps *Problems) Add(file string, line int, format string, args ...any) {
	*ps = append(*ps, Problem{File: file, Line: line, Text: fmt.Sprintf(format, args...)})
}

// Merge notes the problems inside err, or err itself as a problem of the file.
func (ps *Problems) Merge(file string, err error) {
	if err == nil {
		return
	}
	var more Problems
	var one Problem
	switch {
	case errors.As(err, &more):
		*ps = append(*ps, more...)
	case errors.As(err, &one):
		*ps = append(*ps, one)
	default:
		ps.Add(file, 0, "%v", err)
	}
}

// Err is nil when there are no problems, else all of them.
func (ps Problems) Err() error {
	if len(ps) == 0 {
		return nil
	}
	sort.SliceStable(ps, func(i, j int) bool {
		if ps[i].File != ps[j].File {
			return ps[i].File < ps[j].File
		}
		return ps[i].Line < ps[j].Line
	})
	return ps
}

func (ps Problems) Error() string {
	lines := make([]string, len(ps))
	for i, p := range ps {
		lines[i] = p.Error()
	}
	return strings.Join(lines, "\n")
}

// FaultKind makes every mistake in a file an invalid input.
func (ps Problems) FaultKind() fault.Kind { return fault.Invalid }

// Load reads one YAML file into out, strictly. The error is of type Problems.
func Load(path string, out any) error {
	data, err := Read(path)
	if err != nil {
		return err
	}
	return Decode(path, data, out)
}

// Read reads a file of at most MaxFile bytes.
func Read(path string) ([]byte, error) {
	info, err := os.Stat(path)
	if err != nil {
		return nil, Problems{{File: path, Text: reason(err)}}
	}
	if info.Size() > MaxFile {
		return nil, Problems{{File: path, Text: fmt.Sprintf("the file has %d bytes, the limit is %d", info.Size(), MaxFile)}}
	}
	data, err := os.ReadFile(path)
	if err != nil {
		return nil, Problems{{File: path, Text: reason(err)}}
	}
	return data, nil
}

// ReadPrivate is Read for a file with secrets: it refuses one that others than its owner may read. The error quotes nothing of
// the file.
func ReadPrivate(path string) ([]byte, error) {
	info, err := os.Stat(path)
	if err != nil {
		return nil, Problems{{File: path, Text: reason(err)}}
	}
	if mode := info.Mode().Perm(); mode&0o077 != 0 {
		return nil, Problems{{File: path, Text: fmt.Sprintf("mode %04o lets others read the secrets in it; its mode must be 0600", mode)}}
	}
	return Read(path)
}

func reason(err error) string {
	var pe *os.PathError
	if errors.As(err, &pe) {
		return pe.Err.Error()
	}
	return err.Error()
}

// Decode reads YAML into out, strictly; file is the name used in the error, which is of type Problems.
// Aliases are refused: they save nothing here, and a few of them can unfold to gigabytes.
func Decode(file string, data []byte, out any) error {
	var doc yaml.Node
	if err := yaml.Load(data, &doc); err != nil {
		return problems(file, err)
	}
	if n := findAlias(&doc); n != nil {
		return Problems{{File: file, Line: n.Line, Text: "anchors and aliases are not allowed"}}
	}
	if err := yaml.Load(data, out, yaml.WithKnownFields(), yaml.WithUniqueKeys()); err != nil {
		return problems(file, err)
	}
	return nil
}

// DecodeNode reads a part of a document that Decode has taken as a yaml.Node, as strictly. The error is of type Problems.
func DecodeNode(file string, n *yaml.Node, out any) error {
	if err := n.Load(out, yaml.WithKnownFields(), yaml.WithUniqueKeys()); err != nil {
		return problems(file, err)
	}
	return nil
}

func findAlias(n *yaml.Node) *yaml.Node {
	if n.Kind == yaml.AliasNode || n.Anchor != "" {
		return n
	}
	for _, c := range n.Content {
		if a := findAlias(c); a != nil {
			return a
		}
	}
	return nil
}

// problems turns the decoder's error, which may hold many, into one problem for each.
func problems(file string, err error) Problems {
	var many *yaml.LoadErrors
	var one *yaml.LoadError
	var ps Problems
	switch {
	case errors.As(err, &many):
		for _, e := range many.Errors {
			ps.Add(file, e.Mark.Line, "%s", e.Message)
		}
	case errors.As(err, &one):
		ps.Add(file, one.Mark.Line, "%s", one.Message)
	default:
		ps.Add(file, 0, "%s", strings.TrimPrefix(err.Error(), "yaml: "))
	}
	return ps
}

// Duration is a time.Duration written as 600s, 5m, 1h30m.
type Duration time.Duration

// UnmarshalText reads the form of time.ParseDuration; negative ones are refused.
func (d *Duration) UnmarshalText(text []byte) error {
	v, err := time.ParseDuration(string(text))
	if err != nil {
		return fmt.Errorf("%q is not a duration such as 600s or 5m", text)
	}
	if v < 0 {
		return fmt.Errorf("the duration %q is negative", text)
	}
	*d = Duration(v)
	return nil
}

// MarshalText writes the form of time.Duration.
func (d Duration) MarshalText() ([]byte, error) { return []byte(time.Duration(d).String()), nil }

// Or is d, or the default when d is zero.
func (d Duration) Or(def time.Duration) time.Duration {
	if d == 0 {
		return def
	}
	return time.Duration(d)
}

// Env reads a value from the environment: NAME, or the content of the file that NAME_FILE names, with the white space around
// it removed. Both set is an error, since nobody could say which one counts; neither gives "".
func Env(name string) (string, error) {
	value, file := os.Getenv(name), os.Getenv(name+"_FILE")
	switch {
	case value != "" && file != "":
		return "", fmt.Errorf("%s and %s_FILE are both set; unset one", name, name)
	case file != "":
		data, err := os.ReadFile(file)
		if err != nil {
			return "", fmt.Errorf("%s_FILE: %w", name, err)
		}
		return strings.TrimSpace(string(data)), nil
	}
	return value, nil
}

// EnvFile reads KEY=VALUE lines, as docker compose does: # starts a comment line, values are taken as they stand, with one pair of
// surrounding quotes removed. The error is of type Problems.
func EnvFile(path string) (map[string]string, error) {
	data, err := Read(path)
	if err != nil {
		return nil, err
	}
	var ps Problems
	out := map[string]string{}
	for i, line := range bytes.Split(data, []byte("\n")) {
		text := strings.TrimSpace(string(line))
		if text == "" || strings.HasPrefix(text, "#") {
			continue
		}
		key, value, ok := strings.Cut(text, "=")
		key = strings.TrimSpace(key)
		if !ok || key == "" {
			ps.Add(path, i+1, "not a KEY=VALUE line")
			continue
		}
		if _, twice := out[key]; twice {
			ps.Add(path, i+1, "%s is set a second time", key)
			continue
		}
		value = strings.TrimSpace(value)
		if n := len(value); n >= 2 && (value[0] == '"' || value[0] == '\'') && value[n-1] == value[0] {
			value = value[1 : n-1]
		}
		out[key] = value
	}
	return out, ps.Err()
}

// Secret is a value that prints as stars everywhere: in logs, in errors, in JSON and in YAML. Reveal gives it away.
type Secret string

func (s Secret) String() string {
	if s == "" {
		return ""
	}
	return "***"
}

// GoString keeps %#v from showing the value.
func (s Secret) GoString() string { return s.String() }

// MarshalText keeps encoders from showing the value.
func (s Secret) MarshalText() ([]byte, error) { return []byte(s.String()), nil }

// Reveal is the value itself.
func (s Secret) Reveal() string { return string(s) }

// Near resolves a path that a configuration file names: relative ones are relative to that file.
func Near(configFile, path string) string {
	if path == "" || filepath.IsAbs(path) {
		return path
	}
	return filepath.Join(filepath.Dir(configFile), path)
}

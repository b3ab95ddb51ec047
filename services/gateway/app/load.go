package app

import (
	"errors"
	"strconv"
	"strings"

	"go.yaml.in/yaml/v4"

	"palmops/libs/bus"
	"palmops/libs/conf"
)

// Load reads a configuration file and the credentials it names. What comes back is complete but for Log, Registry and,
// where the bus is in the same process, NATS. The error is of type conf.Problems and holds every mistake with its line.
func Load(path string) (Options, error) {
	data, err := conf.Read(path)
	if err != nil {
		return Options{}, err
	}
	var o Options
	if err := conf.Decode(path, data, &o.Config); err != nil {
		return Options{}, err
	}
	var ps conf.Problems
	note(&ps, path, data, o.Config.Validate())
	for i, a := range o.Config.Apps {
		if a.Credentials == "" {
			note(&ps, path, data, mistake{"apps[" + strconv.Itoa(i) + "].credentials", "the name of a file is needed"})
			continue
		}
		w, err := conf.WeComFromEnv(conf.Near(path, a.Credentials))
		ps.Merge(path, err)
		c := AppCredentials{Name: a.Name, WeCom: w, ReceiveID: w.CorpID}
		if a.ReceiveID != nil {
			c.ReceiveID = *a.ReceiveID
		}
		o.Apps = append(o.Apps, c)
	}
	url, err := conf.Env("NATS_URL")
	if err != nil {
		ps.Add(path, 0, "%v", err)
	}
	if len(ps) == 0 {
		_, err := crypts(o.Config, o.Apps)
		note(&ps, path, data, err)
	}
	if err := ps.Err(); err != nil {
		return Options{}, err
	}
	o.Config = o.Config.withDefaults()
	if url == "" {
		url = o.Config.NATS.URL
	}
	o.NATS = bus.Options{URL: url, Creds: conf.Near(path, o.Config.NATS.Creds)}
	return o, nil
}

// note adds the mistakes inside err with the lines of the keys they name.
func note(ps *conf.Problems, path string, data []byte, err error) {
	if err == nil {
		return
	}
	if joined, ok := err.(interface{ Unwrap() []error }); ok {
		for _, e := range joined.Unwrap() {
			note(ps, path, data, e)
		}
		return
	}
	line := 0
	var m mistake
	if errors.As(err, &m) {
		var doc yaml.Node
		if yaml.Load(data, &doc) == nil && len(doc.Content) == 1 {
			line = lineOf(doc.Content[0], m.key)
		}
	}
	ps.Add(path, line, "%v", err)
}

// lineOf is the line of a key such as apps[0].name, or of the nearest thing above it that is there; 0 when nothing is.
func lineOf(n *yaml.Node, key string) int {
	line := 0
	for _, step := range strings.FieldsFunc(key, func(r rune) bool { return strings.ContainsRune(".[]", r) }) {
		var next *yaml.Node
		switch i, err := strconv.Atoi(step); {
		case n.Kind == yaml.SequenceNode && err == nil && i < len(n.Content):
			next = n.Content[i]
			line = next.Line
		case n.Kind == yaml.MappingNode:
			for i := 0; i+1 < len(n.Content); i += 2 {
				if n.Content[i].Value == step {
					line, next = n.Content[i].Line, n.Content[i+1]
				}
			}
		}
		if next == nil {
			return line
		}
		n = next
	}
	return line
}

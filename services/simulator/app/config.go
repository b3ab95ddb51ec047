// Package app is the simulator as a value: a WeCom in a box, with its phones and its API on one listener, and a practice Kubernetes API
// on another. Load reads the configuration, New binds the listeners, Run serves.
package app

import (
	"fmt"
	"net"
	"net/url"
	"strings"
	"time"

	"palmops/libs/conf"
	"palmops/libs/wecom"
	"palmops/services/simulator/internal/phone"
)

// The local defaults that other programs rely on.
const (
	DefaultListen   = "127.0.0.1:8090"
	DefaultCluster  = "127.0.0.1:8092"
	DefaultCallback = "http://127.0.0.1:8080/wecom/ops/callback"
)

// Config is simulator.yaml. Fields that are absent have the defaults that Validate sets.
type Config struct {
	Listen      string        `yaml:"listen"`      // phone page, /sim and /cgi-bin
	Callback    string        `yaml:"callback"`    // the app's callback address
	Credentials string        `yaml:"credentials"` // a file of WECOM_… lines, relative to this one; the environment wins over it
	StateDir    string        `yaml:"state_dir"`   // relative to the working directory; empty keeps nothing
	Form        string        `yaml:"form"`        // of callbacks: xml or json
	Timeout     conf.Duration `yaml:"timeout"`     // of one attempt
	Retries     *int          `yaml:"retries"`     // attempts after the first
	Pause       conf.Duration `yaml:"pause"`       // before each of them
	Cluster     Cluster       `yaml:"cluster"`
	Departments []Department  `yaml:"departments"`
	Tags        []Tag         `yaml:"tags"`
	People      []Person      `yaml:"people"`
}

// Cluster is the practice Kubernetes API.
type Cluster struct {
	Listen string        `yaml:"listen"`
	Step   conf.Duration `yaml:"step"` // the pace at which pods become ready
}

// Department is one department of the company; the root has parent 0.
type Department struct {
	ID     int64  `yaml:"id"`
	Name   string `yaml:"name"`
	Parent int64  `yaml:"parent"`
}

// Person is one member of the company.
type Person struct {
	User        string  `yaml:"user"`
	Name        string  `yaml:"name"`
	Position    string  `yaml:"position"`
	Departments []int64 `yaml:"departments"`
	Leads       []int64 `yaml:"leads"`
	Plain       bool    `yaml:"plain"` // the phone shows no cards
}

// Tag is a list of people under a name.
type Tag struct {
	ID     int64    `yaml:"id"`
	Name   string   `yaml:"name"`
	People []string `yaml:"people"` // user ids
}

// WeCom's own values (pages 90930 and 90238).
const (
	defaultTimeout = 5 * time.Second
	defaultRetries = 3
	defaultPause   = time.Second
	defaultStep    = 300 * time.Millisecond
)

// withDefaults is the configuration with every absent value filled in.
func (c Config) withDefaults() Config {
	def := func(s *string, value string) {
		if *s == "" {
			*s = value
		}
	}
	def(&c.Listen, DefaultListen)
	def(&c.Callback, DefaultCallback)
	def(&c.Form, wecom.FormXML.String())
	def(&c.Cluster.Listen, DefaultCluster)
	c.Timeout = conf.Duration(c.Timeout.Or(defaultTimeout))
	c.Pause = conf.Duration(c.Pause.Or(defaultPause))
	c.Cluster.Step = conf.Duration(c.Cluster.Step.Or(defaultStep))
	if c.Retries == nil {
		n := defaultRetries
		c.Retries = &n
	}
	return c
}

// Validate reports every mistake at once, as conf.Problems of the named file.
func (c Config) Validate(file string) error {
	c = c.withDefaults()
	var ps conf.Problems
	for _, a := range []struct{ name, addr string }{{"listen", c.Listen}, {"cluster.listen", c.Cluster.Listen}} {
		if _, _, err := net.SplitHostPort(a.addr); err != nil {
			ps.Add(file, 0, "%s: %q is not a host:port address", a.name, a.addr)
		}
	}
	if u, err := url.Parse(c.Callback); err != nil || (u.Scheme != "http" && u.Scheme != "https") || u.Host == "" {
		ps.Add(file, 0, "callback: %q is not an http or https address", c.Callback)
	}
	if c.Form != wecom.FormXML.String() && c.Form != wecom.FormJSON.String() {
		ps.Add(file, 0, "form: %q is neither xml nor json", c.Form)
	}
	if *c.Retries < 0 || *c.Retries > 10 {
		ps.Add(file, 0, "retries: %d is not between 0 and 10", *c.Retries)
	}
	ids := c.validateDepartments(file, &ps)
	c.validatePeople(file, ids, &ps)
	c.validateTags(file, &ps)
	return ps.Err()
}

func (c Config) validateDepartments(file string, ps *conf.Problems) map[int64]bool {
	ids := map[int64]bool{}
	for _, d := range c.Departments {
		switch {
		case d.ID <= 0:
			ps.Add(file, 0, "departments: %q needs an id above 0", d.Name)
		case ids[d.ID]:
			ps.Add(file, 0, "departments: the id %d is there twice", d.ID)
		case d.Name == "":
			ps.Add(file, 0, "departments: %d has no name", d.ID)
		}
		// A parent comes first: so the root is the only one without, and there is no ring.
		if root := d.ID == phone.RootDepartment; root != (d.Parent == 0) || (!root && !ids[d.Parent]) {
			ps.Add(file, 0, "departments: the parent of %d must be a department above it in the list, and 0 for the root, which is %d", d.ID, phone.RootDepartment)
		}
		ids[d.ID] = true
	}
	if !ids[phone.RootDepartment] {
		ps.Add(file, 0, "departments: the root, id %d, is missing", phone.RootDepartment)
	}
	return ids
}

func (c Config) validatePeople(file string, ids map[int64]bool, ps *conf.Problems) {
	if len(c.People) == 0 {
		ps.Add(file, 0, "people: there is nobody")
	}
	seen := map[string]bool{}
	for _, p := range c.People {
		id := strings.ToLower(p.User)
		if !validUser(p.User) {
			ps.Add(file, 0, "people: the user id %q is not 1 to 64 letters, digits and - _ . @", p.User)
		}
		if seen[id] {
			ps.Add(file, 0, "people: %s is there twice", p.User)
		}
		seen[id] = true
		if p.Name == "" || len(p.Departments) == 0 {
			ps.Add(file, 0, "people: %s needs a name and a department", p.User)
		}
		own := map[int64]bool{}
		for _, d := range p.Departments {
			own[d] = true
			if !ids[d] {
				ps.Add(file, 0, "people: %s is in department %d, which does not exist", p.User, d)
			}
		}
		for _, d := range p.Leads {
			if !own[d] {
				ps.Add(file, 0, "people: %s leads department %d without being in it", p.User, d)
			}
		}
	}
}

func (c Config) validateTags(file string, ps *conf.Problems) {
	people, ids := map[string]bool{}, map[int64]bool{}
	for _, p := range c.People {
		people[strings.ToLower(p.User)] = true
	}
	for _, t := range c.Tags {
		switch {
		case t.ID <= 0:
			ps.Add(file, 0, "tags: %q needs an id above 0", t.Name)
		case ids[t.ID]:
			ps.Add(file, 0, "tags: the id %d is there twice", t.ID)
		case t.Name == "":
			ps.Add(file, 0, "tags: %d has no name", t.ID)
		}
		ids[t.ID] = true
		for _, user := range t.People {
			if !people[strings.ToLower(user)] {
				ps.Add(file, 0, "tags: %s has the tag %d, but is nobody", user, t.ID)
			}
		}
	}
}

func validUser(id string) bool {
	return id != "" && len(id) <= 64 && strings.Trim(id, "abcdefghijklmnopqrstuvwxyzABCDEFGHIJKLMNOPQRSTUVWXYZ0123456789-_.@") == ""
}

// directory makes the company of a valid configuration.
func (c Config) directory() *phone.Directory {
	var departments []phone.Department
	for _, d := range c.Departments {
		departments = append(departments, phone.Department{ID: d.ID, ParentID: d.Parent, Name: d.Name})
	}
	var people []phone.Person
	for _, p := range c.People {
		people = append(people, phone.Person{User: p.User, Name: p.Name, Position: p.Position, Departments: p.Departments, Leads: p.Leads, Plain: p.Plain})
	}
	var tags []phone.Tag
	for _, t := range c.Tags {
		tags = append(tags, phone.Tag{ID: t.ID, Name: t.Name, Users: t.People})
	}
	return phone.NewDirectory(people, departments, tags)
}

// Load reads simulator.yaml and the credentials that it names. The error holds every mistake of both.
// Log, Registry and Now of the options are the caller's to set.
func Load(path string) (Options, error) {
	var o Options
	var ps conf.Problems
	if err := conf.Load(path, &o.Config); err != nil {
		return Options{}, err
	}
	ps.Merge(path, o.Config.Validate(path))
	o.Config = o.Config.withDefaults()
	file := ""
	if o.Config.Credentials != "" {
		file = conf.Near(path, o.Config.Credentials)
	}
	var err error
	o.Credentials, err = conf.WeComFromEnv(file)
	ps.Merge(path, err)
	o.StateDir = o.Config.StateDir
	if err := ps.Err(); err != nil {
		return Options{}, fmt.Errorf("simulator: %w", err)
	}
	return o, nil
}

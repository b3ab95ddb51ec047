package command

import (
	"cmp"
	"context"
	"errors"
	"fmt"
	"io/fs"
	"maps"
	"net/http"
	"net/url"
	"os"
	"path/filepath"
	"slices"
	"strconv"
	"strings"
	"time"

	"palmops/libs/conf"
	"palmops/libs/fault"
	"palmops/libs/wecom"
	"palmops/libs/wire"
	gateway "palmops/services/gateway/app"
	simulator "palmops/services/simulator/app"
)

// personFlags say who somebody is, or where to ask.
type personFlags struct {
	user, app         string
	departments, tags texts
}

// found is a person, and where what is known of them comes from.
type found struct {
	person wire.Person
	source string
	notes  []string
}

func (f found) String() string {
	p := f.person
	switch {
	case !p.Found:
		return p.User + " is not in the directory"
	case !p.Active:
		return p.User + " " + p.Name + " is disabled in the directory"
	}
	return strings.TrimSpace(p.User+" "+p.Name) + ", departments " + numbers(p.Departments) + ", tags " + numbers(p.Tags)
}

func numbers(list []int64) string {
	if len(list) == 0 {
		return "none"
	}
	texts := make([]string, len(list))
	for i, n := range list {
		texts[i] = strconv.FormatInt(n, 10)
	}
	return strings.Join(texts, " ")
}

// find takes the person from the flags when they say departments or tags. Else it asks WeCom, when the environment has
// an app's secret or the folder has no simulator.yaml, and otherwise looks into simulator.yaml. Tags are the ones that
// matter: of others WeCom is not asked.
func (f personFlags) find(ctx context.Context, dir string, tags []int64) (found, error) {
	user := strings.ToLower(f.user)
	if len(f.departments)+len(f.tags) > 0 {
		p := wire.Person{V: wire.Version, User: user, Found: true, Active: true}
		var err error
		if p.Departments, err = ids("--department", f.departments); err != nil {
			return found{}, err
		}
		if p.Tags, err = ids("--tag", f.tags); err != nil {
			return found{}, err
		}
		return found{person: p, source: "as the flags say"}, nil
	}
	secret, err := conf.Env("WECOM_CORP_SECRET")
	if err != nil {
		return found{}, err
	}
	box := filepath.Join(dir, "simulator.yaml")
	if _, err := os.Stat(box); secret == "" && !errors.Is(err, fs.ErrNotExist) {
		return simulated(box, user)
	}
	return f.ask(ctx, filepath.Join(dir, "gateway.yaml"), user, tags)
}

func ids(flag string, list texts) ([]int64, error) {
	var out []int64
	for _, text := range list {
		id, err := strconv.ParseInt(text, 10, 64)
		if err != nil || id <= 0 {
			return nil, fmt.Errorf("%s %q is not a number above 0", flag, text)
		}
		out = append(out, id)
	}
	return out, nil
}

// simulated is a person of the simulator's company.
func simulated(file, user string) (found, error) {
	var c simulator.Config
	if err := conf.Load(file, &c); err != nil {
		return found{}, err
	}
	if err := c.Validate(file); err != nil {
		return found{}, err
	}
	out := found{person: wire.Person{V: wire.Version, User: user}, source: "as " + file + " says"}
	parents := map[int64]int64{}
	for _, d := range c.Departments {
		parents[d.ID] = d.Parent
	}
	for _, p := range c.People {
		if strings.EqualFold(p.User, user) {
			out.person.Found, out.person.Active, out.person.Name = true, true, p.Name
			out.person.Departments = withAbove(parents, p.Departments)
		}
	}
	for _, t := range c.Tags {
		if slices.ContainsFunc(t.People, func(p string) bool { return strings.EqualFold(p, user) }) {
			out.person.Tags = append(out.person.Tags, t.ID)
		}
	}
	return out, nil
}

// withAbove is departments and all above them, sorted.
func withAbove(parents map[int64]int64, own []int64) []int64 {
	all := map[int64]bool{}
	for _, d := range own {
		for ; d > 0 && !all[d]; d = parents[d] {
			all[d] = true
		}
	}
	return slices.Sorted(maps.Keys(all))
}

// patience is how long WeCom may take for all that is asked about one person.
const patience = 30 * time.Second

// ask finds a person in WeCom's directory, as one of the gateway's apps sees it.
func (f personFlags) ask(ctx context.Context, file, user string, tags []int64) (found, error) {
	o, err := gateway.Load(file)
	if err != nil {
		return found{}, fmt.Errorf("%w\n--department or --tag says who the person is without the directory", err)
	}
	at := slices.IndexFunc(o.Apps, func(a gateway.AppCredentials) bool { return f.app == "" || a.Name == f.app })
	if at < 0 {
		return found{}, fmt.Errorf("--app: %s has no app %q", file, f.app)
	}
	transport := http.DefaultTransport.(*http.Transport).Clone()
	transport.Proxy = nil
	if proxy, err := url.Parse(o.Config.APIProxy); err == nil && o.Config.APIProxy != "" { // Load has read it before
		transport.Proxy = http.ProxyURL(proxy)
	}
	defer transport.CloseIdleConnections()
	app := o.Apps[at]
	api := wecom.NewClient(wecom.ClientOptions{
		BaseURL: o.Config.APIBase, CorpID: app.WeCom.CorpID, Secret: app.WeCom.CorpSecret.Reveal(), AgentID: app.WeCom.AgentID,
		HTTP: &http.Client{Transport: transport, Timeout: 10 * time.Second},
	})
	ctx, cancel := context.WithTimeout(ctx, patience)
	defer cancel()
	out, err := inDirectory(ctx, api, user, tags)
	out.source = "as the directory at " + o.Config.APIBase + " says to the app " + app.Name
	return out, err
}

func inDirectory(ctx context.Context, api *wecom.Client, user string, tags []int64) (found, error) {
	out := found{person: wire.Person{V: wire.Version, User: user}}
	u, err := api.User(ctx, user)
	if fault.Is(err, fault.NotFound) {
		return out, nil
	}
	if err != nil {
		return out, fmt.Errorf("user %s: %w", user, err)
	}
	list, err := api.Departments(ctx)
	if err != nil {
		return out, fmt.Errorf("departments: %w", err)
	}
	parents := map[int64]int64{}
	for _, d := range list {
		parents[d.ID] = d.ParentID
	}
	p := &out.person
	p.Found, p.Active, p.Name, p.Departments = true, u.Status == activeMember, u.Name, withAbove(parents, u.Departments)
	for _, tag := range tags {
		t, err := api.Tagged(ctx, tag)
		switch {
		case fault.Is(err, fault.NotFound):
			out.notes = append(out.notes, fmt.Sprintf("the directory has no tag %d, which the policy names", tag))
		case err != nil:
			return out, fmt.Errorf("tag %d: %w", tag, err)
		case slices.ContainsFunc(t.Members, func(m wecom.Member) bool { return strings.EqualFold(m.UserID, user) }),
			slices.ContainsFunc(t.Departments, func(d int64) bool { return slices.Contains(p.Departments, d) }):
			p.Tags = append(p.Tags, tag)
		}
	}
	return out, nil
}

// activeMember is the status of a member who uses WeCom; others are disabled, have not joined, or have left.
const activeMember = 1

func sortedKeys[K cmp.Ordered, V any](m map[K]V) []K { return slices.Sorted(maps.Keys(m)) }

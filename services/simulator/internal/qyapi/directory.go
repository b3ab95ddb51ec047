package qyapi

import (
	"net/http"
	"slices"
	"strconv"

	"palmops/services/simulator/internal/phone"
)

func (a *API) user(r *http.Request) reply {
	id := r.URL.Query().Get("userid")
	if id == "" {
		return reply{code: codeUserID}
	}
	p, known := a.o.Directory.Person(id)
	if !known {
		return reply{code: codeNoUser}
	}
	return reply{fields: a.details(p)}
}

// details are what user/get and user/list tell of somebody.
func (a *API) details(p phone.Person) map[string]any {
	lead := make([]int, len(p.Departments))
	for i, dep := range p.Departments {
		if slices.Contains(p.Leads, dep) {
			lead[i] = 1
		}
	}
	main := int64(phone.RootDepartment)
	if len(p.Departments) > 0 {
		main = p.Departments[0]
	}
	return map[string]any{
		"userid": p.User, "name": p.Name, "position": p.Position, "alias": "", "status": 1, "enable": 1,
		"department": p.Departments, "order": make([]int, len(p.Departments)), "is_leader_in_dept": lead,
		"main_department": main, "direct_leader": a.leaders(p), "extattr": map[string]any{"attrs": []any{}},
	}
}

// listed are the members that user/simplelist and user/list are asked for: those of department_id, with fetch_child=1 those of all
// departments below it as well.
func (a *API) listed(r *http.Request, entry func(phone.Person) map[string]any) reply {
	q := r.URL.Query()
	id, err := strconv.ParseInt(q.Get("department_id"), 10, 64)
	below := q.Get("fetch_child")
	if err != nil || (below != "" && below != "0" && below != "1") {
		return reply{code: codeParam}
	}
	if _, known := a.o.Directory.Department(id); !known {
		return reply{code: codeNoDepartment}
	}
	out := []map[string]any{}
	for _, p := range members(a.o.Directory, id, below == "1") {
		out = append(out, entry(p))
	}
	return ok("userlist", out)
}

func (a *API) users(r *http.Request) reply { return a.listed(r, a.details) }

func (a *API) userNames(r *http.Request) reply {
	return a.listed(r, func(p phone.Person) map[string]any {
		return map[string]any{"userid": p.User, "name": p.Name, "department": p.Departments}
	})
}

func (a *API) tags(*http.Request) reply {
	out := []map[string]any{}
	for _, t := range a.o.Directory.Tags() {
		out = append(out, map[string]any{"tagid": t.ID, "tagname": t.Name})
	}
	return ok("taglist", out)
}

func (a *API) tag(r *http.Request) reply {
	text := r.URL.Query().Get("tagid")
	if text == "" {
		return reply{code: codeTagMissing}
	}
	id, err := strconv.ParseInt(text, 10, 64)
	t, people, known := a.o.Directory.Tagged(id)
	if err != nil || !known {
		return reply{code: codeTag}
	}
	out := []map[string]any{}
	for _, p := range people {
		out = append(out, map[string]any{"userid": p.User, "name": p.Name})
	}
	return reply{fields: map[string]any{"tagname": t.Name, "userlist": out, "partylist": []int64{}}}
}

// leaders are the leads of somebody's departments, without that person.
func (a *API) leaders(p phone.Person) []string {
	out := []string{}
	for _, other := range a.o.Directory.People() {
		if other.User != p.User && slices.ContainsFunc(other.Leads, func(dep int64) bool { return slices.Contains(p.Departments, dep) }) {
			out = append(out, other.User)
		}
	}
	return out
}

// under are the departments that a request asks for: those at and below id, all without one.
func (a *API) under(r *http.Request) ([]phone.Department, int) {
	text := r.URL.Query().Get("id")
	if text == "" {
		return a.o.Directory.Under(0), codeOK
	}
	id, err := strconv.ParseInt(text, 10, 64)
	if err != nil {
		return nil, codeParam
	}
	if _, known := a.o.Directory.Department(id); !known {
		return nil, codeNoDepartment
	}
	return a.o.Directory.Under(id), codeOK
}

func (a *API) departments(r *http.Request) reply {
	found, code := a.under(r)
	out := make([]map[string]any, 0, len(found))
	for _, d := range found {
		leaders := []string{}
		for _, p := range a.o.Directory.People() {
			if slices.Contains(p.Leads, d.ID) {
				leaders = append(leaders, p.User)
			}
		}
		out = append(out, map[string]any{
			"id": d.ID, "name": d.Name, "name_en": "", "parentid": d.ParentID, "order": d.ID, "department_leader": leaders,
		})
	}
	return reply{code: code, fields: map[string]any{"department": out}}
}

func (a *API) departmentIDs(r *http.Request) reply {
	found, code := a.under(r)
	out := make([]map[string]any, 0, len(found))
	for _, d := range found {
		out = append(out, map[string]any{"id": d.ID, "parentid": d.ParentID, "order": d.ID})
	}
	return reply{code: code, fields: map[string]any{"department_id": out}}
}

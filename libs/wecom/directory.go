package wecom

import (
	"context"
	"net/url"
	"strconv"

	"palmops/libs/fault"
)

// User is a member as the application sees one (page 90196). Ids compare without regard to case.
type User struct {
	UserID         string
	Name           string
	Departments    []int64
	MainDepartment int64
	Leader         []bool   // whether the member leads Departments[i]; may be shorter
	DirectLeaders  []string // user ids
	Position       string
	Alias          string
	Status         int // 1 active, 2 disabled, 4 not active, 5 left
}

// User reads one member. Errors: fault.NotFound when there is none of this id or none that the application may see,
// *APIError in general, fault.Transient when no answer came.
func (c *Client) User(ctx context.Context, userID string) (User, error) {
	if userID == "" || len(userID) > 64 {
		return User{}, fault.New(fault.Invalid, "wecom: a user id has 1 to 64 bytes, not %d", len(userID))
	}
	var out struct {
		UserID         string   `json:"userid"`
		Name           string   `json:"name"`
		Departments    []int64  `json:"department"`
		MainDepartment int64    `json:"main_department"`
		Leader         []int    `json:"is_leader_in_dept"`
		DirectLeaders  []string `json:"direct_leader"`
		Position       string   `json:"position"`
		Alias          string   `json:"alias"`
		Status         int      `json:"status"`
	}
	if err := c.do(ctx, call{api: "user/get", query: url.Values{"userid": {userID}}}, &out); err != nil {
		return User{}, err
	}
	if out.UserID == "" {
		return User{}, fault.New(fault.Internal, "wecom: user/get: the answer names no user")
	}
	u := User{
		UserID: out.UserID, Name: out.Name, Departments: out.Departments, MainDepartment: out.MainDepartment,
		DirectLeaders: out.DirectLeaders, Position: out.Position, Alias: out.Alias, Status: out.Status,
	}
	for _, v := range out.Leader {
		u.Leader = append(u.Leader, v != 0)
	}
	return u, nil
}

// Department is a node of the department tree (pages 95350, 90208). The root has the id 1 and the parent 0.
type Department struct {
	ID       int64  `json:"id"`
	ParentID int64  `json:"parentid"`
	Order    int64  `json:"order"` // larger comes first
	Name     string `json:"name"`  // only from NamedDepartments
}

// Departments lists the departments that the application may see, without their names. Errors: as User's.
func (c *Client) Departments(ctx context.Context) ([]Department, error) {
	var out struct {
		List []Department `json:"department_id"`
	}
	err := c.do(ctx, call{api: "department/simplelist", max: maxListing}, &out)
	return out.List, err
}

// NamedDepartments lists a department and all below it, or with 0 all departments that the application may see, with
// their names. WeCom needs long for it. Errors: fault.NotFound when there is no such department; else as User's.
func (c *Client) NamedDepartments(ctx context.Context, under int64) ([]Department, error) {
	if under < 0 {
		return nil, fault.New(fault.Invalid, "wecom: no department has the id %d", under)
	}
	q := url.Values{}
	if under > 0 {
		q.Set("id", strconv.FormatInt(under, 10))
	}
	var out struct {
		List []Department `json:"department"`
	}
	err := c.do(ctx, call{api: "department/list", query: q, max: maxListing}, &out)
	return out.List, err
}

// Member is a member in a list: all that a choice needs.
type Member struct {
	UserID string `json:"userid"`
	Name   string `json:"name"`
}

// Members lists the members of a department, with all below it when below is set (page 90200). Errors: fault.NotFound
// when there is no such department or none that the application may see; else as User's.
func (c *Client) Members(ctx context.Context, department int64, below bool) ([]Member, error) {
	if department <= 0 {
		return nil, fault.New(fault.Invalid, "wecom: no department has the id %d", department)
	}
	q := url.Values{"department_id": {strconv.FormatInt(department, 10)}, "fetch_child": {"0"}}
	if below {
		q.Set("fetch_child", "1")
	}
	var out struct {
		List []Member `json:"userlist"`
	}
	err := c.do(ctx, call{api: "user/simplelist", query: q, max: maxListing}, &out)
	return out.List, err
}

// Tag is a tag of the corp.
type Tag struct {
	ID   int64  `json:"tagid"`
	Name string `json:"tagname"`
}

// Tags lists the corp's tags (page 90216). Errors: as User's.
func (c *Client) Tags(ctx context.Context) ([]Tag, error) {
	var out struct {
		List []Tag `json:"taglist"`
	}
	err := c.do(ctx, call{api: "tag/list", max: maxListing}, &out)
	return out.List, err
}

// Tagged is who has a tag: members by themselves, and departments with all of theirs. Only those are there whom the
// application may see.
type Tagged struct {
	Name        string
	Members     []Member
	Departments []int64
}

// Tagged reads who has a tag (page 90213). Errors: fault.NotFound when there is no such tag; else as User's.
func (c *Client) Tagged(ctx context.Context, tag int64) (Tagged, error) {
	var out struct {
		Name    string   `json:"tagname"`
		Users   []Member `json:"userlist"`
		Parties []int64  `json:"partylist"`
	}
	err := c.do(ctx, call{api: "tag/get", query: url.Values{"tagid": {strconv.FormatInt(tag, 10)}}, max: maxListing}, &out)
	return Tagged{Name: out.Name, Members: out.Users, Departments: out.Parties}, err
}

// CallbackIPs lists where callbacks come from (page 92521): addresses, prefixes, or addresses whose last part is '*'.
// It never returns an empty list without an error, so that no allowlist can be emptied by one. Errors: as User's.
func (c *Client) CallbackIPs(ctx context.Context) ([]string, error) {
	var out struct {
		List []string `json:"ip_list"`
	}
	if err := c.do(ctx, call{api: "getcallbackip"}, &out); err != nil {
		return nil, err
	}
	if len(out.List) == 0 {
		return nil, fault.New(fault.Transient, "wecom: getcallbackip: the list is empty")
	}
	return out.List, nil
}

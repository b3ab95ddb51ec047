package wecom

import (
	"context"
	"net/url"

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

// Department is a node of the department tree (page 95350). The root has the id 1 and the parent 0.
type Department struct {
	ID       int64 `json:"id"`
	ParentID int64 `json:"parentid"`
	Order    int64 `json:"order"` // larger comes first
}

// Departments lists the departments that the application may see. Errors: as User's.
func (c *Client) Departments(ctx context.Context) ([]Department, error) {
	var out struct {
		List []Department `json:"department_id"`
	}
	err := c.do(ctx, call{api: "department/simplelist"}, &out)
	return out.List, err
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

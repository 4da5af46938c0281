package publish

import (
	"encoding/xml"
	"fmt"
	"io"
	"net/http"
	"slices"
	"strings"
	"sync"
	"testing"
)

// route53Fake answers as Amazon's API reference of Route 53 (2013-04-01) documents.
type route53Fake struct {
	mu     sync.Mutex
	sets   []route53Set
	done   []string
	status int
	code   string
	weight bool // sets have a routing policy
}

type route53Set struct {
	Name          string
	Type          string
	SetIdentifier string         `xml:",omitempty"`
	TTL           int            `xml:",omitempty"`
	Records       []route53Value `xml:"ResourceRecords>ResourceRecord"`
}

type route53Value struct{ Value string }

// values are a set's, sorted.
func (s route53Set) values() []string {
	var list []string
	for _, r := range s.Records {
		list = append(list, r.Value)
	}
	slices.Sort(list)
	return list
}

const route53Zone = "Z1PA6795UKMFR9"

func (f *route53Fake) put(name, text string) {
	f.mu.Lock()
	defer f.mu.Unlock()
	if target, ok := strings.CutPrefix(text, "CNAME "); ok {
		f.sets = append(f.sets, route53Set{Name: name + ".", Type: "CNAME", TTL: 300, Records: []route53Value{{target}}})
		return
	}
	if !strings.HasPrefix(text, `"`) {
		text = `"` + text + `"`
	}
	if i := f.find(name+".", "TXT"); i >= 0 {
		f.sets[i].Records = append(slices.Clone(f.sets[i].Records), route53Value{text})
		return
	}
	f.sets = append(f.sets, route53Set{Name: name + ".", Type: "TXT", TTL: 300, Records: []route53Value{{text}}})
}

func (f *route53Fake) find(name, kind string) int {
	return slices.IndexFunc(f.sets, func(s route53Set) bool { return s.Name == name && s.Type == kind })
}

func (f *route53Fake) texts(name string) []string {
	f.mu.Lock()
	defer f.mu.Unlock()
	i := f.find(name+".", "TXT")
	if i < 0 {
		return nil
	}
	list := f.sets[i].values()
	for j, s := range list {
		if strings.Contains(s, "another's") {
			list[j] = strings.Trim(s, `"`)
		}
	}
	return list
}

func (f *route53Fake) steps() []string {
	f.mu.Lock()
	defer f.mu.Unlock()
	done := f.done
	f.done = nil
	return done
}

func (f *route53Fake) fail(status int, code string) { f.status, f.code = status, code }

func (f *route53Fake) ServeHTTP(w http.ResponseWriter, r *http.Request) {
	f.mu.Lock()
	defer f.mu.Unlock()
	path := strings.TrimPrefix(r.URL.Path, "/2013-04-01")
	switch {
	case f.status != 0:
		f.refuse(w, f.status, f.code, "refused: "+f.code)
	case !strings.HasPrefix(r.Header.Get("Authorization"), "AWS4-HMAC-SHA256 Credential=AKIAEXAMPLE/"):
		f.refuse(w, 403, "InvalidClientTokenId", "The security token included in the request is invalid.")
	case r.Method == http.MethodGet && path == "/hostedzonesbyname":
		f.zones(w, r.URL.Query().Get("dnsname"))
	case r.Method == http.MethodGet && path == "/hostedzone/"+route53Zone+"/rrset":
		f.list(w, r)
	case r.Method == http.MethodPost && strings.TrimSuffix(path, "/") == "/hostedzone/"+route53Zone+"/rrset":
		f.change(w, r)
	default:
		f.refuse(w, 404, "NoSuchHostedZone", "No hosted zone found with ID: "+path)
	}
}

// zones lists a private zone of the same name first, as Route 53 may.
func (f *route53Fake) zones(w http.ResponseWriter, name string) {
	list := ""
	if name == "example.com." {
		list = `<HostedZone><Id>/hostedzone/ZPRIVATE</Id><Name>example.com.</Name><CallerReference>a</CallerReference><Config><PrivateZone>true</PrivateZone></Config></HostedZone>
<HostedZone><Id>/hostedzone/` + route53Zone + `</Id><Name>example.com.</Name><CallerReference>b</CallerReference><Config><PrivateZone>false</PrivateZone></Config></HostedZone>`
	}
	fmt.Fprintf(w, `<?xml version="1.0" encoding="UTF-8"?>
<ListHostedZonesByNameResponse xmlns="https://route53.amazonaws.com/doc/2013-04-01/"><HostedZones>%s
<HostedZone><Id>/hostedzone/ZOTHER</Id><Name>example.net.</Name><CallerReference>c</CallerReference><Config><PrivateZone>false</PrivateZone></Config></HostedZone></HostedZones>
<DNSName>%s</DNSName><IsTruncated>false</IsTruncated><MaxItems>100</MaxItems></ListHostedZonesByNameResponse>`, list, name)
}

// list gives one set a page, from the name and type asked for.
func (f *route53Fake) list(w http.ResponseWriter, r *http.Request) {
	type answer struct {
		XMLName              xml.Name     `xml:"https://route53.amazonaws.com/doc/2013-04-01/ ListResourceRecordSetsResponse"`
		Sets                 []route53Set `xml:"ResourceRecordSets>ResourceRecordSet"`
		IsTruncated          bool
		MaxItems             int
		NextRecordName, Type string `xml:",omitempty"`
		NextRecordType       string `xml:",omitempty"`
	}
	sorted := slices.Clone(f.sets)
	slices.SortFunc(sorted, func(a, b route53Set) int { return strings.Compare(a.Name+" "+a.Type, b.Name+" "+b.Type) })
	from := r.URL.Query().Get("name") + " " + r.URL.Query().Get("type")
	at := slices.IndexFunc(sorted, func(s route53Set) bool { return s.Name+" "+s.Type >= from })
	out := answer{MaxItems: 1}
	if at >= 0 {
		out.Sets = sorted[at : at+1]
		if f.weight {
			out.Sets[0].SetIdentifier = "one"
		}
		if at+1 < len(sorted) {
			out.IsTruncated, out.NextRecordName, out.NextRecordType = true, sorted[at+1].Name, sorted[at+1].Type
		}
	}
	_ = xml.NewEncoder(w).Encode(out)
}

// change makes all changes of a batch or none.
func (f *route53Fake) change(w http.ResponseWriter, r *http.Request) {
	var in struct {
		Changes []struct {
			Action string
			Set    route53Set `xml:"ResourceRecordSet"`
		} `xml:"ChangeBatch>Changes>Change"`
	}
	body, _ := io.ReadAll(r.Body)
	if err := xml.Unmarshal(body, &in); err != nil {
		f.refuse(w, 400, "InvalidInput", err.Error())
		return
	}
	sets, step := slices.Clone(f.sets), ""
	for _, c := range in.Changes {
		step += c.Action + " "
		at := slices.IndexFunc(sets, func(s route53Set) bool { return s.Name == c.Set.Name && s.Type == c.Set.Type })
		switch {
		case c.Action == "DELETE" && (at < 0 || sets[at].TTL != c.Set.TTL || !slices.Equal(sets[at].values(), c.Set.values())):
			f.invalid(w, "Tried to delete resource record set [name='"+c.Set.Name+"', type='TXT'] but the values provided do not match the current values")
			return
		case c.Action == "DELETE":
			sets = slices.Delete(sets, at, at+1)
		case at >= 0:
			f.invalid(w, "Tried to create resource record set [name='"+c.Set.Name+"', type='TXT'] but it already exists")
			return
		default:
			sets = append(sets, c.Set)
		}
	}
	f.sets = sets
	f.done = append(f.done, step+in.Changes[0].Set.Name)
	fmt.Fprint(w, `<?xml version="1.0" encoding="UTF-8"?><ChangeResourceRecordSetsResponse xmlns="https://route53.amazonaws.com/doc/2013-04-01/"><ChangeInfo><Id>/change/C2682N5HXP0BZ4</Id><Status>PENDING</Status><SubmittedAt>2026-04-01T00:00:00Z</SubmittedAt></ChangeInfo></ChangeResourceRecordSetsResponse>`)
}

func (f *route53Fake) invalid(w http.ResponseWriter, message string) {
	w.WriteHeader(400)
	fmt.Fprintf(w, `<?xml version="1.0"?><InvalidChangeBatch xmlns="https://route53.amazonaws.com/doc/2013-04-01/"><Messages><Message>%s</Message></Messages><RequestId>b7ebc957</RequestId></InvalidChangeBatch>`, message)
}

func (f *route53Fake) refuse(w http.ResponseWriter, status int, code, message string) {
	w.WriteHeader(status)
	fmt.Fprintf(w, `<?xml version="1.0"?><ErrorResponse xmlns="https://route53.amazonaws.com/doc/2013-04-01/"><Error><Type>Sender</Type><Code>%s</Code><Message>%s</Message></Error><RequestId>b7ebc957-48de-11e4-9c02-03749a38eea0</RequestId></ErrorResponse>`, code, message)
}

// openRoute53Fake keeps AWS's own files and variables of the machine out.
func openRoute53Fake(t *testing.T) (*Host, *route53Fake) {
	t.Helper()
	for _, name := range []string{"AWS_CONFIG_FILE", "AWS_SHARED_CREDENTIALS_FILE"} {
		t.Setenv(name, t.TempDir()+"/none")
	}
	t.Setenv("AWS_EC2_METADATA_DISABLED", "true")
	for _, name := range []string{"AWS_CA_BUNDLE", "AWS_PROFILE", "AWS_ACCESS_KEY_ID", "AWS_SECRET_ACCESS_KEY", "AWS_CONTAINER_CREDENTIALS_FULL_URI", "AWS_WEB_IDENTITY_TOKEN_FILE"} {
		t.Setenv(name, "")
	}
	f := &route53Fake{}
	return mustOpen(t, Account{Provider: Route53, KeyID: "AKIAEXAMPLE", Secret: NewSecret(secretText), Transport: serve(t, f)}), f
}

func TestRoute53(t *testing.T) {
	h, f := openRoute53Fake(t)
	publishes(t, h, f, awsQuoted, "DELETE CREATE example.com.")
	several(t, h, f, awsQuoted)
	refuses(t, h, f, awsQuoted)
}

// Others' values go back as they were spelled.
func TestRoute53KeepsSpelling(t *testing.T) {
	h, f := openRoute53Fake(t)
	const odd = `"\"quoted\" \344" "second\\"`
	f.put("example.com", odd)
	plan, err := h.Plan(t.Context(), "example.com", []Want{{Name: "example.com", Type: "TXT", Value: "v=spf1 -all"}})
	if err == nil {
		err = h.Apply(t.Context(), plan)
	}
	if err != nil {
		t.Fatal(err)
	}
	equal(t, "apex", f.texts("example.com"), []string{odd, `"v=spf1 -all"`})
	equal(t, "read", plan.Sets[0].Keep, []string{"\"quoted\" \xe4second\\"})
}

// What is changed between our reading and our writing is noticed by Route 53 itself.
func TestRoute53Changed(t *testing.T) {
	h, f := openRoute53Fake(t)
	f.put("example.com", `"old"`)
	err := h.driver.write(t.Context(), "example.com", Change{Name: "example.com", Type: "TXT", Add: []string{"new"}, Remove: []string{"stale"},
		was: []value{{text: "stale", raw: `"stale"`}}})
	if err == nil || !strings.Contains(err.Error(), ErrChanged.Error()) {
		t.Error(err)
	}
	equal(t, "apex", f.texts("example.com"), []string{`"old"`})
}

func TestRoute53RoutingPolicy(t *testing.T) {
	h, f := openRoute53Fake(t)
	f.put("example.com", `"old"`)
	f.weight = true
	if _, err := h.Plan(t.Context(), "example.com", []Want{{Name: "example.com", Type: "TXT", Value: "x"}}); err == nil || !strings.Contains(err.Error(), "routing policy") {
		t.Error(err)
	}
}

func TestRoute53Fails(t *testing.T) {
	h, f := openRoute53Fake(t)
	fails(t, h, f, []failure{
		{403, "AccessDenied", ErrLogin, "route53:ListHostedZonesByName"},
		{403, "SignatureDoesNotMatch", ErrLogin, "secret is wrong"},
		{404, "NoSuchHostedZone", ErrZone, ""},
		{400, "InvalidInput", nil, "InvalidInput"},
	})
	wrong := mustOpen(t, Account{Provider: Route53, KeyID: "AKIAWRONG", Secret: NewSecret(secretText), Transport: serve(t, f)})
	fails(t, wrong, f, []failure{{0, "", ErrLogin, "security token"}})
	none := mustOpen(t, Account{Provider: Route53, Transport: serve(t, f)})
	fails(t, none, f, []failure{{0, "", ErrLogin, "aws configure"}})
}

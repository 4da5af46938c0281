package publish

import (
	"context"
	"crypto/hmac"
	"crypto/sha256"
	"encoding/hex"
	"encoding/json"
	"errors"
	"fmt"
	"io"
	"net/http"
	"net/url"
	"slices"
	"strconv"
	"strings"
	"sync"
	"testing"
)

// aliyunFake answers as Alibaba Cloud's reference of Alidns (2015-01-09) documents,
// and checks signatures by its "Request syntax and signature method V3".
type aliyunFake struct {
	mu      sync.Mutex
	records []aliyunFakeRecord
	last    int
	done    []string
	status  int
	code    string
}

type aliyunFakeRecord struct {
	DomainName, RecordId, RR, Type, Value, Line, Status string
	TTL                                                 int
	Locked                                              bool
}

const aliyunKeyID = "LTAI5tExampleKeyId"

func (f *aliyunFake) put(name, text string) {
	f.mu.Lock()
	defer f.mu.Unlock()
	kind := "TXT"
	if target, ok := strings.CutPrefix(text, "CNAME "); ok {
		kind, text = "CNAME", target
	}
	rr := strings.TrimSuffix(strings.TrimSuffix(name, "example.com"), ".")
	if rr == "" {
		rr = "@"
	}
	f.add(rr, kind, text, 600)
}

func (f *aliyunFake) add(rr, kind, text string, ttl int) string {
	f.last++
	id := strconv.Itoa(9999000 + f.last)
	f.records = append(f.records, aliyunFakeRecord{DomainName: "example.com", RecordId: id, RR: rr, Type: kind, Value: text, Line: "default", Status: "ENABLE", TTL: ttl})
	return id
}

func (r aliyunFakeRecord) name() string {
	if r.RR == "@" {
		return r.DomainName
	}
	return r.RR + "." + r.DomainName
}

func (f *aliyunFake) texts(name string) []string {
	f.mu.Lock()
	defer f.mu.Unlock()
	var list []string
	for _, r := range f.records {
		if r.name() == name && r.Type == "TXT" {
			list = append(list, r.Value)
		}
	}
	slices.Sort(list)
	return list
}

func (f *aliyunFake) steps() []string {
	f.mu.Lock()
	defer f.mu.Unlock()
	done := f.done
	f.done = nil
	return done
}

func (f *aliyunFake) fail(status int, code string) { f.status, f.code = status, code }

func (f *aliyunFake) ServeHTTP(w http.ResponseWriter, r *http.Request) {
	f.mu.Lock()
	defer f.mu.Unlock()
	body, _ := io.ReadAll(r.Body)
	form, _ := url.ParseQuery(string(body))
	switch {
	case f.status != 0:
		f.refuse(w, f.status, f.code)
		return
	case r.Host != aliyunHost || r.Header.Get("x-acs-version") != "2015-01-09":
		f.refuse(w, 404, "InvalidVersion")
		return
	case !signedV3(r, body):
		f.refuse(w, 400, "SignatureDoesNotMatch")
		return
	}
	action := r.Header.Get("x-acs-action")
	if domain := form.Get("DomainName"); domain != "" && domain != "example.com" {
		f.refuse(w, 400, "IncorrectDomainUser")
		return
	}
	at := slices.IndexFunc(f.records, func(rec aliyunFakeRecord) bool { return rec.RecordId == form.Get("RecordId") })
	ttl, _ := strconv.Atoi(form.Get("TTL"))
	answer := map[string]any{"RequestId": "536E9CAD-DB30-4647-AC87-AA5CC38C5382"}
	switch action {
	case "DescribeDomains":
		answer["TotalCount"], answer["PageNumber"], answer["PageSize"] = 1, 1, 20
		answer["Domains"] = map[string]any{"Domain": []any{map[string]any{"DomainName": "example.com", "VersionCode": "mianfei"}}}
	case "DescribeSubDomainRecords":
		f.list(answer, form)
	case "AddDomainRecord":
		answer["RecordId"] = f.add(form.Get("RR"), form.Get("Type"), form.Get("Value"), ttl)
		f.done = append(f.done, "Add "+form.Get("RR"))
	case "UpdateDomainRecord", "DeleteDomainRecord":
		if at < 0 {
			f.refuse(w, 400, "DomainRecordNotBelongToUser")
			return
		}
		answer["RecordId"] = form.Get("RecordId")
		f.done = append(f.done, strings.TrimSuffix(action, "DomainRecord")+" "+f.records[at].RR)
		if action == "DeleteDomainRecord" {
			f.records = slices.Delete(f.records, at, at+1)
		} else {
			f.records[at].RR, f.records[at].Type, f.records[at].Value, f.records[at].TTL = form.Get("RR"), form.Get("Type"), form.Get("Value"), ttl
		}
	default:
		f.refuse(w, 404, "InvalidAction.NotFound")
		return
	}
	_ = json.NewEncoder(w).Encode(answer)
}

func (f *aliyunFake) list(answer map[string]any, form url.Values) {
	found := []aliyunFakeRecord{}
	for _, r := range f.records {
		if r.name() == form.Get("SubDomain") {
			found = append(found, r)
		}
	}
	page, _ := strconv.Atoi(form.Get("PageNumber"))
	size, _ := strconv.Atoi(form.Get("PageSize"))
	size = min(size, 2) // so that one name has more than a page
	from := min(len(found), (page-1)*size)
	answer["TotalCount"], answer["PageNumber"], answer["PageSize"] = len(found), page, size
	answer["DomainRecords"] = map[string]any{"Record": found[from:min(len(found), from+size)]}
}

func (f *aliyunFake) refuse(w http.ResponseWriter, status int, code string) {
	w.WriteHeader(status)
	_ = json.NewEncoder(w).Encode(map[string]string{
		"RequestId": "536E9CAD-DB30-4647-AC87-AA5CC38C5382", "HostId": aliyunHost, "Code": code,
		"Message": "The request was refused: " + code, "Recommend": "https://next.api.aliyun.com/troubleshoot",
	})
}

func signedV3(r *http.Request, body []byte) bool {
	rest, ok := strings.CutPrefix(r.Header.Get("Authorization"), "ACS3-HMAC-SHA256 Credential="+aliyunKeyID+",SignedHeaders=")
	if !ok {
		return false
	}
	names, signature, _ := strings.Cut(rest, ",Signature=")
	var lines strings.Builder
	for name := range strings.SplitSeq(names, ";") {
		text := r.Header.Get(name)
		if name == "host" {
			text = r.Host
		}
		lines.WriteString(name + ":" + strings.TrimSpace(text) + "\n")
	}
	hash := func(b []byte) string { sum := sha256.Sum256(b); return hex.EncodeToString(sum[:]) }
	request := strings.Join([]string{r.Method, "/", r.URL.RawQuery, lines.String(), names, hash(body)}, "\n")
	mac := hmac.New(sha256.New, []byte(secretText))
	mac.Write([]byte("ACS3-HMAC-SHA256\n" + hash([]byte(request))))
	return signature == hex.EncodeToString(mac.Sum(nil)) && r.Header.Get("x-acs-content-sha256") == hash(body)
}

// openAliyunFake gives libdns the test's server, too: it knows http.DefaultClient only.
func openAliyunFake(t *testing.T) (*Host, *aliyunFake) {
	f := &aliyunFake{}
	transport := serve(t, f)
	old := http.DefaultClient.Transport
	http.DefaultClient.Transport = transport
	t.Cleanup(func() { http.DefaultClient.Transport = old })
	return mustOpen(t, Account{Provider: Aliyun, KeyID: aliyunKeyID, Secret: NewSecret(secretText), Transport: transport}), f
}

func plainly(text string) string { return text }

func TestAliyun(t *testing.T) {
	h, f := openAliyunFake(t)
	publishes(t, h, f, plainly, "Update @")
	several(t, h, f, plainly)
	refuses(t, h, f, plainly)
}

func TestAliyunFails(t *testing.T) {
	h, f := openAliyunFake(t)
	fails(t, h, f, []failure{
		{404, "InvalidAccessKeyId.NotFound", ErrLogin, "access key"},
		{403, "Forbidden.RAM", ErrLogin, "right"},
		{400, "SignatureDoesNotMatch", ErrLogin, "secret is wrong"},
		{401, "Other", ErrLogin, ""},
		{400, "InvalidDomainName.NoExist", ErrZone, ""},
		{429, "Throttling.User", nil, "again in a minute"},
		{503, "ServiceUnavailable", nil, "ServiceUnavailable"},
	})
	wrong := mustOpen(t, Account{Provider: Aliyun, KeyID: aliyunKeyID, Secret: NewSecret("another"), Transport: h.driver.(*aliyunDNS).api.http.Transport})
	fails(t, wrong, f, []failure{{0, "", ErrLogin, "SignatureDoesNotMatch"}})
}

// Records with one text are changed by their ids, and each once.
func TestAliyunSameTextTwice(t *testing.T) {
	h, f := openAliyunFake(t)
	const old, now = "v=spf1 ip4:198.51.100.1 ~all", "v=spf1 ip4:203.0.113.9 ip4:198.51.100.1 ~all"
	want := []Want{{Name: "example.com", Type: "TXT", Value: now, Replaces: []string{old}}}
	f.put("example.com", old)
	f.put("example.com", old)
	plan, err := h.Plan(t.Context(), "example.com", want)
	if err == nil {
		err = h.Apply(t.Context(), plan)
	}
	if err != nil {
		t.Fatal(err)
	}
	equal(t, "removed", plan.Sets[0].Remove, []string{old})
	equal(t, "steps", f.steps(), []string{"Update @", "Delete @"})
	equal(t, "apex", f.texts("example.com"), []string{now})

	f.put("example.com", old)
	f.records[1].Line = "telecom"
	if _, err := h.Plan(t.Context(), "example.com", want); !errors.Is(err, ErrCannot) || !strings.Contains(err.Error(), "telecom") {
		t.Errorf("a line of its own: %v", err)
	}
	equal(t, "steps", f.steps(), nil)
}

// A refusal that falls at the writing is libdns's to read.
func TestAliyunFailsWriting(t *testing.T) {
	h, f := openAliyunFake(t)
	c := Change{Name: "example.com", Type: "TXT", Add: []string{"x"}}
	for _, want := range []failure{{403, "Forbidden.RAM", ErrLogin, ""}, {429, "Throttling.User", nil, "429"}} {
		f.fail(want.status, want.code)
		err := h.guard(func() error { return h.driver.write(t.Context(), "example.com", c) })
		if err == nil || want.err != nil && !errors.Is(err, want.err) || !strings.Contains(fmt.Sprint(err), want.says) {
			t.Errorf("%s: %v", want.code, err)
		}
	}
}

func TestAliyunTooLong(t *testing.T) {
	h, f := openAliyunFake(t)
	f.fail(500, "nobody asks") // refused before
	_, err := h.Plan(t.Context(), "example.com", []Want{{Name: "a._domainkey.example.com", Type: "TXT", Value: strings.Repeat("x", 513)}})
	if !errors.Is(err, ErrCannot) || !strings.Contains(err.Error(), "512") {
		t.Error(err)
	}
}

// libdns looks for the zone's plan without a time limit; the order is left behind
// then, and the error says that it may still be taken.
func TestAliyunHangs(t *testing.T) {
	h, _ := openAliyunFake(t)
	gone := make(chan struct{})
	asked := make(chan struct{}, 1)
	http.DefaultClient.Transport = serve(t, http.HandlerFunc(func(http.ResponseWriter, *http.Request) {
		asked <- struct{}{}
		<-gone
	}))
	t.Cleanup(func() { close(gone) })
	ctx, cancel := context.WithCancel(t.Context())
	go func() { <-asked; cancel() }()
	err := h.guard(func() error {
		return h.driver.write(ctx, "example.com", Change{Name: "example.com", Type: "TXT", Add: []string{"x"}})
	})
	if !errors.Is(err, context.Canceled) || !strings.Contains(err.Error(), "may still") {
		t.Error(err)
	}
}

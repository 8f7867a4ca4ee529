package upload_test

// The soak has visitors who send files, look at them and keep some, at a server that
// is killed and started again. At the end no file is there that nobody refers to, and
// every file that a page refers to is what was sent.
//
//	go test -v -run Soak ./upload -soak=3m

import (
	"bufio"
	"bytes"
	"encoding/base64"
	"flag"
	"fmt"
	"io"
	"math"
	"math/rand/v2"
	"net"
	"net/http"
	"net/url"
	"os"
	"os/exec"
	"slices"
	"strings"
	"sync"
	"sync/atomic"
	"testing"
	"time"

	"github.com/pagestate/pagestate"
	"github.com/pagestate/pagestate/internal/testkit"
	"github.com/pagestate/pagestate/upload"
)

var soakFor = flag.Duration("soak", time.Second, "how long the soak takes")

const (
	soakDir    = "PAGESTATE_UPLOAD_SOAK"
	soakSecret = "PAGESTATE_UPLOAD_SECRET"
	soakLife   = 300 * time.Millisecond // of one server
)

func TestSoak(t *testing.T) {
	if dir := os.Getenv(soakDir); dir != "" {
		serveSoak(t, dir)
		return
	}
	dir := t.TempDir()
	c := &soak{t: t, dir: dir, secret: base64.StdEncoding.EncodeToString(testkit.NewSecret())}
	c.start()
	var visitors sync.WaitGroup
	people := make([]*soakVisitor, 8)
	for i := range people {
		people[i] = c.newVisitor(uint64(i))
		visitors.Go(people[i].visit)
	}
	kills := 0
	for begun := time.Now(); time.Since(begun) < *soakFor || kills < 3; kills++ {
		time.Sleep(soakLife)
		c.kill()
		c.start()
	}
	c.over.Store(true)
	visitors.Wait()

	// A day later the pages that are still open make their files young.
	makeOld(t, dir, day)
	referred := 0
	var kept []string
	for _, v := range people {
		referred += len(v.files)
		kept = append(kept, v.kept...)
		for _, f := range v.files {
			v.look(f, true)
		}
	}
	c.kill()
	makeOld(t, dir, 2*time.Hour)
	x := newSite(t, newDir(t, dir), upload.Options{})
	testkit.Want(t, "sweep", x.files.Sweep(t.Context()), nil)
	var pending, keptThere []string
	for _, name := range contentOf(t, dir) {
		if name, ok := strings.CutPrefix(name, "kept/"); ok {
			keptThere = append(keptThere, name)
		} else {
			pending = append(pending, name)
		}
	}
	testkit.Want(t, "pending files", len(pending), 2*referred)
	for _, name := range kept {
		testkit.Want(t, "kept: "+name, slices.Contains(keptThere, name), true)
	}
	makeOld(t, dir, 30*day)
	testkit.Want(t, "sweep", x.files.Sweep(t.Context()), nil)
	testkit.Want(t, "left beside what was kept", len(contentOf(t, dir))-len(keptThere), 0)
	t.Logf("%d servers were killed, %d requests failed with them; %d files were sent, of which pages referred to %d, and %d were kept",
		kills, c.failed.Load(), c.sent.Load(), referred, len(kept))
}

// soak is one run.
type soak struct {
	t       *testing.T
	dir     string
	secret  string
	address atomic.Pointer[string]
	server  *exec.Cmd
	over    atomic.Bool
	failed  atomic.Int64
	sent    atomic.Int64
}

// start runs a server in a process of its own.
func (c *soak) start() {
	self, err := os.Executable()
	if err != nil {
		c.t.Fatal(err)
	}
	c.server = exec.Command(self, "-test.run=^TestSoak$")
	c.server.Env = append(os.Environ(), soakDir+"="+c.dir, soakSecret+"="+c.secret)
	out, err := c.server.StdoutPipe()
	if err != nil {
		c.t.Fatal(err)
	}
	if err := c.server.Start(); err != nil {
		c.t.Fatal(err)
	}
	address, err := bufio.NewReader(out).ReadString('\n')
	if err != nil {
		c.t.Fatal(err)
	}
	address = "http://" + strings.TrimSpace(address)
	c.address.Store(&address)
}

func (c *soak) kill() {
	_ = c.server.Process.Kill()
	_ = c.server.Wait()
}

// serveSoak is the server, until it is killed.
func serveSoak(t *testing.T, dir string) {
	secret, err := base64.StdEncoding.DecodeString(os.Getenv(soakSecret))
	if err != nil {
		t.Fatal(err)
	}
	// In some minutes more is sent than may be pending by default.
	x := newSiteWith(t, newDir(t, dir), upload.Options{MaxPending: math.MaxInt64}, pagestate.Options{Secrets: [][]byte{secret}})
	x.mux.Handle("POST /keep", pagestate.Handle(func(_ http.ResponseWriter, r *http.Request, p *profile) error {
		return x.files.Keep(r.Context(), p.Picture, r.URL.Query().Get("name"))
	}))
	listener, err := net.Listen("tcp", "127.0.0.1:0")
	if err != nil {
		t.Fatal(err)
	}
	fmt.Println(listener.Addr())
	go func() {
		for range time.Tick(50 * time.Millisecond) {
			if err := x.files.Sweep(t.Context()); err != nil {
				fmt.Fprintln(os.Stderr, err)
			}
		}
	}()
	_ = http.Serve(listener, x.Config.Handler)
}

// soakVisitor sends files, and has pages that refer to them.
type soakVisitor struct {
	*soak
	number  uint64
	random  *rand.Rand
	browser *http.Client
	files   []soakFile
	kept    []string
}

type soakFile struct {
	token, id string
	content   []byte
}

func (c *soak) newVisitor(number uint64) *soakVisitor {
	jar := testkit.NewBrowser(c.t, nil).Jar
	return &soakVisitor{soak: c, number: number, random: rand.New(rand.NewPCG(1, number)), browser: &http.Client{Jar: jar}}
}

func (v *soakVisitor) visit() {
	for i := 0; !v.over.Load(); i++ {
		switch {
		case len(v.files) < 2 || v.random.IntN(4) == 0:
			v.send()
		case v.random.IntN(8) == 0:
			last := len(v.files) - 1
			name := fmt.Sprintf("%d/%d", v.number, i)
			if v.answered(v.request("POST", "/keep?name="+url.QueryEscape(name), v.files[last].token, nil, "")) {
				v.kept = append(v.kept, name)
			}
			v.files = v.files[:last] // the page is left
		default:
			v.look(v.files[v.random.IntN(len(v.files))], false)
		}
	}
}

func (v *soakVisitor) send() {
	content := make([]byte, v.random.IntN(1<<20))
	for i := range content {
		content[i] = byte(v.random.Uint32())
	}
	head, tail, contentType := form("a")
	v.sent.Add(1)
	got := v.request("POST", "/save", "", slices.Concat(head, content, tail), contentType)
	if v.answered(got) {
		v.files = append(v.files, soakFile{got.Field(), strings.Split(got.Body, "\n")[0], content})
	}
}

// answered reports whether a request was answered, which it must be with 200 unless
// the server was killed meanwhile.
func (v *soakVisitor) answered(got testkit.Answer) bool {
	if got.StatusCode == 0 {
		return false
	}
	testkit.Want(v.t, "status", got.StatusCode, 200)
	return got.StatusCode == 200
}

// look opens a file by its page and by its preview.
func (v *soakVisitor) look(f soakFile, mustAnswer bool) {
	for _, got := range []testkit.Answer{v.request("POST", "/read", f.token, nil, ""), v.request("GET", "/files/"+f.id, "", nil, "")} {
		if v.answered(got) {
			testkit.Want(v.t, "the content is what was sent", got.Body == string(f.content), true)
		} else if mustAnswer {
			v.t.Error("a file that a page refers to was not shown")
		}
	}
}

// request returns an answer without a status where the server was killed meanwhile.
func (v *soakVisitor) request(method, path, token string, body []byte, contentType string) testkit.Answer {
	address := *v.address.Load()
	r, err := http.NewRequest(method, address+path, bytes.NewReader(body))
	if err != nil {
		v.t.Error(err)
		return testkit.Answer{Response: new(http.Response)}
	}
	r.Header.Set("Content-Type", contentType)
	if token != "" {
		r.Header.Set("Page-State", token)
	}
	answer, err := send(v.browser, r)
	if err != nil {
		v.failed.Add(1)
		return testkit.Answer{Response: new(http.Response)}
	}
	return answer
}

func send(browser *http.Client, r *http.Request) (testkit.Answer, error) {
	res, err := browser.Do(r)
	if err != nil {
		return testkit.Answer{}, err
	}
	defer res.Body.Close()
	body, err := io.ReadAll(res.Body)
	return testkit.Answer{Response: res, Body: string(body)}, err
}

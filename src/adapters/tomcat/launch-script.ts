/** Types of files that a site is likely to have, for installations that come without Tomcat's own list. */
const MIME_TYPES: Readonly<Record<string, string>> = {
  avif: "image/avif",
  css: "text/css",
  csv: "text/csv",
  gif: "image/gif",
  htm: "text/html",
  html: "text/html",
  ico: "image/x-icon",
  jpeg: "image/jpeg",
  jpg: "image/jpeg",
  js: "text/javascript",
  json: "application/json",
  map: "application/json",
  mjs: "text/javascript",
  mp4: "video/mp4",
  pdf: "application/pdf",
  png: "image/png",
  svg: "image/svg+xml",
  txt: "text/plain",
  wasm: "application/wasm",
  webp: "image/webp",
  woff: "font/woff",
  woff2: "font/woff2",
  xml: "application/xml",
  zip: "application/zip",
};

const mimeMappings = Object.entries(MIME_TYPES)
  .map(
    ([extension, type]) =>
      `<mime-mapping><extension>${extension}</extension><mime-type>${type}</mime-type></mime-mapping>`,
  )
  .join("\n");

/** The defaults of all web applications (Tomcat's conf/web.xml), as far as they are needed to serve files and pages. */
const webXml = `<web-app>
<servlet>
<servlet-name>default</servlet-name>
<servlet-class>org.apache.catalina.servlets.DefaultServlet</servlet-class>
<load-on-startup>1</load-on-startup>
</servlet>
<servlet>
<servlet-name>jsp</servlet-name>
<servlet-class>org.apache.jasper.servlet.JspServlet</servlet-class>
<init-param><param-name>development</param-name><param-value>false</param-value></init-param>
<load-on-startup>3</load-on-startup>
</servlet>
<servlet-mapping><servlet-name>default</servlet-name><url-pattern>/</url-pattern></servlet-mapping>
<servlet-mapping>
<servlet-name>jsp</servlet-name><url-pattern>*.jsp</url-pattern><url-pattern>*.jspx</url-pattern>
</servlet-mapping>
<welcome-file-list>
<welcome-file>index.html</welcome-file><welcome-file>index.htm</welcome-file><welcome-file>index.jsp</welcome-file>
</welcome-file-list>
${mimeMappings}
</web-app>`;

/** One connector on `$PORT`, no port to shut it down, no deploying of what else lies around. */
const serverXml = `<Server port="-1">
<Service name="Catalina">
<Connector port="$PORT" protocol="HTTP/1.1"/>
<Engine name="Catalina" defaultHost="localhost">
<Host name="localhost" appBase="none" autoDeploy="false" deployOnStartup="false">
<Context path="" docBase="$app"/>
<Valve className="org.apache.catalina.valves.RemoteIpValve" protocolHeader="x-forwarded-proto"/>
</Host>
</Engine>
</Service>
</Server>`;

/**
 * The shell script that becomes Tomcat: its second argument is the folder of an unpacked `.war`, which answers at `/` on
 * `$PORT`. Half of the instance's memory (`$DINP_MEMORY_MB`) is the heap's; `$JAVA_OPTS` can say otherwise. It ends by
 * `exec`, so that the signals of the platform reach Java itself. Its first argument is Tomcat's own folder.
 */
export const launchScript = `fail() { echo "dinp-tomcat: $1" >&2; exit "$2"; }
home=\${1#home=}
[ $# -eq 2 ] && [ -d "$2" ] || fail "write: dinp-tomcat DIR, the folder of an unpacked .war" 2
case \${PORT:-} in '' | *[!0-9]*) fail "PORT must be the number of a port" 2 ;; esac
[ -r "$home/bin/bootstrap.jar" ] || fail "$home/bin/bootstrap.jar cannot be read by this user" 1
app=$(cd "$2" && pwd -P) || exit 1
case $app in *[\\"\\&\\<]*) fail "the name of $app has a character that Tomcat's configuration cannot take" 1 ;; esac
base=\${TMPDIR:-/tmp}/tomcat
rm -rf "$base" && mkdir -p "$base/conf" "$base/none" "$base/temp" "$base/work" || exit 1
cat > "$base/conf/server.xml" <<XML
${serverXml}
XML
for defaults in "$home/conf/web.xml" "/etc/\${home##*/}/web.xml"; do
  if [ -r "$defaults" ]; then cp "$defaults" "$base/conf/web.xml"; break; fi
done
[ -e "$base/conf/web.xml" ] || cat > "$base/conf/web.xml" <<'XML'
${webXml}
XML
exec java "-Xmx$((\${DINP_MEMORY_MB:-256} / 2))m" -XX:+UseSerialGC -XX:+ExitOnOutOfMemoryError \${JAVA_OPTS:-} \\
  "-Dcatalina.home=$home" "-Dcatalina.base=$base" "-Djava.io.tmpdir=$base/temp" \\
  -classpath "$home/bin/bootstrap.jar:$home/bin/tomcat-juli.jar" org.apache.catalina.startup.Bootstrap start
`;

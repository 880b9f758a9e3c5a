# node.sh PATRONI FOLDER: runs Patroni on FOLDER/patroni.yml, and ends PostgreSQL with it, which otherwise outlives it.
patroni=$1
folder=$2

# In the background standard input would be /dev/null; it is the guard's lock, which PostgreSQL is to hold too.
exec 3<&0
"$patroni" "$folder/patroni.yml" <&3 3<&- &
child=$!
echo "$child" >"$folder/patroni.pid"

# Only what runs on this folder: an old file's number may be another process's by now.
postmaster() {
	pid=$(head -n 1 "$folder/data/postmaster.pid" 2>/dev/null) || return 1
	case $(ps -o args= -p "$pid") in
	*"$folder/data"*) ;;
	*) return 1 ;;
	esac
}

end() {
	trap '' TERM
	# First, as it would start PostgreSQL again.
	kill -KILL "$child" 2>/dev/null
	tries=0
	while postmaster && [ "$tries" -lt 60 ]; do
		kill -QUIT "$pid" 2>/dev/null
		# One that is frozen acts on it only when it goes on.
		kill -CONT "$pid" 2>/dev/null
		tries=$((tries + 1))
		sleep 0.1
	done
	if postmaster; then kill -KILL "$pid"; fi
	# Whatever Patroni was running: a base backup, pg_rewind. And this.
	kill -KILL 0
}

trap end TERM
wait "$child"
end

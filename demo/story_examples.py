"""Stories to begin with, one of each kind."""

SCRIPT = """\
# The last train. A mood carries over from one line of a speaker to the next.
@MIRA voice=heart emotion=calm:0.4
@TOM voice=max emotion=sad:0.3 speed=0.95

MIRA: The last train leaves in ten minutes.
TOM (sad:0.7): I know. I should have come sooner.
MIRA (tender:0.8): You are here now.
TOM: I lost the ticket.

MIRA (surprised:0.9): You lost it? Tonight, of all nights?
TOM (fearful:0.8): I looked everywhere, I swear!
MIRA (angry:0.7): Everywhere but in your own hat!
TOM (surprised:1): My hat? Oh. Oh, it is here!
TOM (happy:1): We can still make it!

MIRA (excited:0.9): Then run!
"""
CSV = """\
text,voice,emotion,speed,output
Good morning and welcome on board.,ada,calm:0.6,,morning/welcome.wav
"We are flying above the clouds, and the sun is out!",ada,happy:0.9,,morning/sun.wav
Please fasten your seat belts.,ada,fearful:0.4,1.05,storm/belts.wav
Everyone stay in your seats!,otto,"arousal=.9,valence=-.5",1.1,storm/stay.wav
That was the worst of it.,otto,\"\"\"relieved, but still shaking\"\"\",,landing/over.wav
Thank you for flying with us.,ada,tender:0.7,0.95,landing/thanks.wav
"""
JSONL = """\
{"text": "It begins with nothing at all.", "voice": "otto", "emotion": "bored:0.6"}
{"text": "Then there is a knock at the door.", "voice": "otto", "emotion": "fearful:0.5"}
{"text": "Nobody is there, and yet somebody laughs.", "voice": "otto", "timeline": "rise:fearful"}
{"text": "It was only you!", "voice": "otto", "emotion": "happy:0.9", "seed": 4}
"""
EXAMPLES = {"script": SCRIPT, "csv": CSV, "jsonl": JSONL}

"""Names of customers and of products. Training and validation share one half, the test split has the other.

A product's name never is the answer's word alone: it is a made-up brand that carries a hint ("BoilMaster 360") or
comes with a plain noun ("Hestia steel kettle"), so that a reader can place a product he has never heard of.
"""

from __future__ import annotations

CUSTOMERS_SEEN = (
    "Anna Berger", "Tom Walsh", "Priya Nair", "Lukas Meyer", "Sofia Rossi", "James Carter", "Emma Lund", "Daniel Cho",
    "Maria Lopez", "Peter Novak", "Chloe Martin", "Ahmed Saleh", "Ruth Allen", "Hannah Vogel", "Ben Turner",
    "Yuki Mori", "Olga Petrova", "Carlos Mendes", "Laura Smit", "Kevin Byrne", "Grace Okoro", "Nils Holm",
    "Fatima Rahman", "Paul Fischer", "Jenny Park", "Marco Conti", "Alice Dubois", "Sam Reid", "Eva Horvat", "Ian Wood",
)  # fmt: skip
CUSTOMERS_TEST = (
    "Mara Lindqvist", "Jonas Weber", "Aisha Khan", "Viktor Orlov", "Beatriz Costa", "Owen Hughes", "Leila Haddad",
    "Stefan Kral", "Noor Jansen", "Rosa Iglesias", "Callum Fraser", "Mei Tanaka", "Dorota Zielinska", "Felix Braun",
    "Ingrid Dahl", "Tariq Aziz", "Helen Porter", "Mateo Vargas", "Zoe Laurent", "Gareth Pugh",
)  # fmt: skip

MODELS_SEEN: dict[str, tuple[str, ...]] = {
    "kettle": (
        "AeroKettle 2", "Tealine glass kettle", "SwiftBoil 17", "Norda travel kettle", "KettlePro S",
        "Brightpot tea kettle", "Arden water boiler", "Boilwell Jug", "Stowe steel kettle", "QuickTea Boiler",
    ),
    "coffee maker": (
        "Brewmate Duo", "BaristaBox 3", "Moretti espresso machine", "Cafelino coffee machine", "DripStar filter brewer",
        "Crema One", "Arabica Go", "Rosto bean-to-cup machine", "Pressa coffee brewer", "EspressoBar Mini",
    ),
    "vacuum": (
        "DustFox 400", "CycloVac", "Sweepy robot vacuum", "Whirl handheld vacuum", "TurboVac Pet", "Floorwise hoover",
        "Clenza vacuum cleaner", "CarpetKing", "Puffin dust cleaner", "VacuBot 8",
    ),
    "headphones": (
        "SoundPebbles", "Loopline headphones", "Auralis earbuds", "BassLine earphones", "QuietDrops",
        "Tonewave headphones", "Murmur noise-cancelling headphones", "EarWings Pro", "Vibrato earbuds",
        "StudioCans 5",
    ),
    "watch": (
        "PulseWatch 4", "Stride fitness watch", "ChronoFit", "WristMate", "Tempo smartwatch", "Zephyr sports watch",
        "Cadence fitness band", "HourHand Sport", "Metro wristwatch", "TickTrack 2",
    ),
    "router": (
        "NetBox 6", "Wavecast router", "MeshPoint Wi-Fi router", "LinkHub", "Surfline modem router", "HomeNet AX",
        "Beacon Wi-Fi box", "RouterOne", "Pixelport internet box", "WebGate Mesh",
    ),
    "lamp": (
        "GlowDesk", "Lumina desk lamp", "NightOwl bedside lamp", "SunArc floor lamp", "BrightBar LED",
        "Halo reading light", "Pendula ceiling light", "LightLeaf", "Moonrise table lamp", "LampLab 3",
    ),
    "heater": (
        "WarmAir 2000", "Ember fan heater", "CozyHeat", "Fjord oil radiator", "HeatWell Mini", "Nordwarm space heater",
        "Igloo room heater", "RadiaPlus", "ToastyRoom", "Caldo bathroom heater",
    ),
}  # fmt: skip
MODELS_TEST: dict[str, tuple[str, ...]] = {
    "kettle": (
        "Kettlewell Mini", "Hestia steel kettle", "BoilMaster 360", "Ceylon tea kettle", "Lumo water boiler",
        "TeaKettle Air",
    ),
    "coffee maker": (
        "Espresso Piccolo", "BrewHaus 5", "Lungo coffee machine", "Javanta filter coffee machine", "BaristaPro Home",
        "Cappuccina espresso maker",
    ),
    "vacuum": (
        "VacuMax 12", "DustHawk 7", "Nimbus stick vacuum", "Crumbly hand hoover", "RoboVac Slim",
        "Breva carpet cleaner",
    ),
    "headphones": (
        "Sonora headphones", "HushBuds", "Melodia earphones", "NoiseOff earbuds", "DeepBass headphones", "EarLoops Air",
    ),
    "watch": (
        "Vitalis smartwatch", "TimePulse Watch", "WristOne Sport", "Kronos fitness watch", "Orbit running watch",
        "FitBand Nova",
    ),
    "router": (
        "Titan Wi-Fi router", "RouteMaster AX", "Signalo mesh router", "NetSpring Hub", "Fibra internet router",
        "WebCube Wi-Fi box",
    ),
    "lamp": (
        "LumiDesk 2", "Firefly night light", "Solaris ceiling lamp", "Candela table lamp", "GlowTower floor lamp",
        "BrightReader lamp",
    ),
    "heater": (
        "ThermoFan 9", "Hearthly fan heater", "WarmUp ceramic heater", "Aurora oil radiator", "HeatCube",
        "Sahara space heater",
    ),
}  # fmt: skip

PLURAL_PRODUCTS = frozenset({"headphones"})

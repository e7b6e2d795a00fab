#!/usr/bin/env python3
"""Makes up 213,068 events shaped like records of San Francisco's city lots, the same in every run.

    city_lots.py FOLDER [COUNT]

Two files with the same records, named by how a lot's outline is written:
  city_lots_pairs.jsonl    coordinates are arrays of numbers:  [[[x, y, 0.0], ...]]
  city_lots_points.jsonl   coordinates are objects:  [[{"x":, "y":, "z":}, ...]], and firstCoordinates
The weights are chosen so that the rules of data/city_lots_rules.jsonl select about as many events as
their authors report for the real records.
"""
import os
import random
import sys

COUNT = 213068
SEED = 20240613

# Streets that rules ask for, and how many of COUNT records lie in each.
STREETS = {
    "ACORN": 4, "ACTON": 8, "ACEVEDO": 12, "BLAKE": 40, "BLANKEN": 120, "BLUXOME": 150, "BLYTHDALE": 62,
    "BLAIRWOOD": 30, "BLANDY": 40, "DRAKE": 8, "DRUMM": 13, "DRUMMOND": 17, "FULTON": 1910, "FUNSTON": 470,
    "FURTADO": 7, "RHODE ISLAND": 300, "RHINE": 28, "MISSION": 3900, "WASHINGTON": 2300, "JACKSON": 2100,
    "CLAYTON": 1050, "HARRISON": 1300, "MASON": 2657, "JEFFERSON": 131, "STOCKTON": 900, "DIVISION": 60,
    "FILLMORE": 1200, "LEAVENWORTH": 1350, "LYON": 760, "UNION": 1650, "JOHNSTON": 6, "EDISON": 20,
    "WINSTON": 45, "LAKE": 700, "DUKE": 3, "CLARKE": 123, "STERLING": 40, "PERSHING": 30, "FARALLONES": 240,
    "BOWLING": 10, "SPRING": 60, "CUSHING": 20, "IRVING": 1800, "SANTIAGO": 600, "VALLEJO": 1500, "DIEGO": 22,
    "SAN DIEGO": 60, "HYDE": 1758, "CHESTNUT": 825, "BEACH": 211, "BIRCH": 9, "17TH": 1619, "FOLSOM": 1390,
    "FOERSTER": 380, "CRANLEIGH": 41, "UNKNOWN": 4200, "16TH": 1500, "18TH": 1750, "19TH": 2400, "20TH": 1500,
    "21ST": 1450, "22ND": 1400, "23RD": 1500, "24TH": 1700, "25TH": 1600, "26TH": 1450, "27TH": 1300,
    "28TH": 1350, "29TH": 1250, "30TH": 1300, "15TH": 1250, "14TH": 1300, "02ND": 600, "03RD": 1200, "04TH": 700,
    "05TH": 750, "06TH": 900, "07TH": 800, "08TH": 850, "09TH": 900, "10TH": 950, "11TH": 900, "12TH": 950,
    "13TH": 100, "31ST": 1200, "32ND": 1200, "33RD": 1200, "34TH": 1200, "35TH": 1200, "36TH": 1200,
    "37TH": 1200, "38TH": 1200, "39TH": 1200, "40TH": 1200, "41ST": 1200, "42ND": 1200, "43RD": 1200,
    "44TH": 1200, "45TH": 1200, "46TH": 1200, "47TH": 1200, "48TH": 800,
}

# The others share what is left; '_' stands for a blank.
OTHER_STREETS = """
GEARY CALIFORNIA BUSH PINE SACRAMENTO CLAY BROADWAY PACIFIC GREEN GREENWICH FILBERT LOMBARD FRANCISCO BAY
NORTH_POINT MARKET HOWARD BRYANT BRANNAN TOWNSEND KING BERRY CHANNEL HAIGHT PAGE OAK FELL HAYES GROVE
MCALLISTER TURK GOLDEN_GATE EDDY ELLIS OFARRELL POST SUTTER VAN_NESS POLK LARKIN JONES TAYLOR POWELL GRANT
KEARNY MONTGOMERY SANSOME BATTERY FRONT DAVIS STEUART SPEAR MAIN BEALE FREMONT FRANKLIN GOUGH OCTAVIA LAGUNA
BUCHANAN WEBSTER STEINER PIERCE SCOTT DIVISADERO BRODERICK BAKER CENTRAL MASONIC ASHBURY COLE SHRADER STANYAN
ARGUELLO PALM JORDAN COMMONWEALTH PARKER SPRUCE LOCUST LAUREL WALNUT PRESIDIO CHERRY MAPLE CLEMENT BALBOA
CABRILLO ANZA LINCOLN HUGO JUDAH KIRKHAM LAWTON MORAGA NORIEGA ORTEGA PACHECO QUINTARA RIVERA TARAVAL ULLOA
VICENTE WAWONA YORBA SLOAT OCEAN GUERRERO VALENCIA CAPP SHOTWELL TREAT ALABAMA FLORIDA YORK HAMPSHIRE POTRERO
UTAH SAN_BRUNO VERMONT KANSAS DE_HARO CAROLINA WISCONSIN ARKANSAS CONNECTICUT MISSOURI TEXAS MISSISSIPPI
PENNSYLVANIA IOWA INDIANA MINNESOTA TENNESSEE ILLINOIS CESAR_CHAVEZ ARMY PRECITA BERNAL COSO MULLEN CORTLAND
EUGENIA EUREKA DIAMOND CASTRO NOE SANCHEZ CHURCH DOLORES HARTFORD COLLINGWOOD DOUGLASS HOFFMAN GRAND_VIEW
CORBETT CLIPPER ELIZABETH JERSEY ALVARADO HILL LIBERTY CUMBERLAND DUNCAN VALLEY DAY BROSNAN CLINTON_PARK
DUBOCE WALLER GERMANIA HERMANN PORTOLA TWIN_PEAKS CLARENDON LAGUNA_HONDA DEWEY MAGELLAN MONTALVO CASTENADA
SANTA_CLARA SAN_FERNANDO MONTEREY JOOST HEARST FLOOD STAUNTON GENNESSEE CONGO DETROIT EDNA ACADIA BADEN
CIRCULAR SUNNYSIDE PHELPS NEWHALL QUESADA PALOU OAKDALE MCKINNON LA_SALLE KIRKWOOD JERROLD INNES HUDSON GALVEZ
FAIRFAX EVANS DAVIDSON CUSTER BURKE ARTHUR REVERE SHAFTER THOMAS UNDERWOOD VAN_DYKE WALLACE YOSEMITE ARMSTRONG
BANCROFT CARROLL DONNER EGBERT FITZGERALD GILMAN HOLLISTER INGERSOLL JAMESTOWN KEY LE_CONTE MEADE NELSON
SILVER FELTON BURROWS BACON WAYLAND WOOLSEY DWIGHT OLMSTEAD MANSELL ORDWAY WARD HARKNESS WILDE ALLEMONT
SUNNYDALE VISITACION LELAND RAYMOND ARLETA TEDDY CAMPBELL TIOGA TUCKER LATHROP TUNNEL CRESCENT PERALTA RIPLEY
MOULTRIE BRADFORD PUTNAM BOCANA BENNINGTON WOOL PRENTISS GATES ELLSWORTH ANDERSON BANKS NEBRASKA ALEMANY
NAPLES VIENNA MUNICH PARIS LISBON MADRID EDINBURGH ATHENS PRAGUE MOSCOW GENEVA SENECA ONEIDA ONONDAGA CAYUGA
OTSEGO HURON DELANO SICKLES FARRAGUT LAWRENCE HANOVER GUTTENBERG LOWELL WHIPPLE OLIVER BRUNSWICK POPE ALLISON
CONCORD FLORENTINE CHICAGO ROLPH CORDOVA BALTIMORE NAGLEE NIAGARA MT_VERNON PLYMOUTH CAPITOL FAXON JULES
ASHTON HAROLD LEE BRIGHTON GRANADA MIRAMAR CAINE HEAD VICTORIA RALSTON VERNON BYXBEE ARCH RAMSELL RANDOLPH
SARGENT SHIELDS GARFIELD HOLLOWAY DE_MONTFORT URBANO CORONA MONCADA CEDRO PALOMA LYNDHURST JUNIPERO_SERRA
LAKE_MERCED BROTHERHOOD SKYLINE ZOO CHAVES DEL_SUR EVELYN FOWLER GAVIOTA LANSDALE MYRA OSHAUGHNESSY REX
ROBINHOOD SEQUOIA TERESITA VERNA WESTWOOD YERBA_BUENA ZIRCON QUARTZ AMBER
""".split()

STREET_TYPES = ["ST", "AVE", "WAY", "DR", "BLVD", "CT", "TER", "LN", "PL", "ALY", "CIR", "RD", "ROW", "HWY",
                "PARK", "PZ", None]
STREET_TYPE_SHARES = [0.5462, 0.27, 0.03, 0.031, 0.02, 0.0085, 0.012, 0.006, 0.0065, 0.004, 0.003, 0.004,
                      0.001, 0.0008, 0.0008, 0.0004, 0.056]

# Lot numbers that exact rules ask for, and how many records have each.
PLANTED_LOTS = (("1430022", 1), ("2607117", 101), ("2607218", 35), ("3745012", 655), ("VACSTWIL", 1))


def street_weights(draw):
    """Every street's weight; draws those of the other streets."""
    weights = dict(STREETS)
    rest = COUNT - sum(weights.values())
    shares = [draw.lognormvariate(0, 0.6) for _ in OTHER_STREETS]
    total = sum(shares)
    for name, share in zip(OTHER_STREETS, shares):
        name = name.replace("_", " ")
        weights[name] = weights.get(name, 0) + max(1, int(rest * share / total))
    return weights


class Plan:
    """What is decided for all records before the first is written: rare values at their places."""

    def __init__(self, draw, count):
        weights = street_weights(draw)
        self.streets = draw.choices(list(weights), list(weights.values()), k=count)
        self.street_types = draw.choices(STREET_TYPES, STREET_TYPE_SHARES, k=count)
        places = draw.sample(range(count), sum(n for _, n in PLANTED_LOTS))
        self.lots = {}
        for lot, times in PLANTED_LOTS:
            for _ in range(times):
                self.lots[places.pop()] = lot
        self.lot_0011008 = draw.sample(range(count), 3)
        self.first_x = set(draw.sample(range(count), 2))
        self.some_x = set(draw.sample(range(count), 216))
        self.multi = set(draw.sample(range(count), 120))
        self.multi_y = draw.sample(sorted(self.multi), 1)[0]
        self.some_y = set(draw.sample(range(count), 5)) | set(self.lot_0011008)


def quoted(text):
    return "null" if text is None else f'"{text}"'


def running_number(draw):
    return min(999, int(draw.expovariate(1 / 45.0)) + 1)


def lot_names(draw, plan, n):
    """The names of a record's block, lot, both, and the lot it is mapped to."""
    block = "%04d" % draw.randrange(1, 9999)
    if draw.random() < 0.03:
        block += draw.choice("ABCDEFG")
    lot = "%03d" % running_number(draw)
    if draw.random() < 0.04:
        lot += draw.choice("ABCDEFGH")
    if n % 3611 == 7:
        block = "3027A"
    if n % 7001 == 3:
        block = "2183"
    if n % 404 == 9:
        block = "3789"
    both = block + lot
    mapped = both if draw.random() < 0.72 else block + "%03d" % running_number(draw)
    mapped = plan.lots.get(n, mapped)
    if n in plan.lot_0011008:
        mapped = both = "0011008"
    return block, lot, both, mapped


def house_number(draw):
    chance = draw.random()
    if chance < 0.0115:
        return "441"
    if chance < 0.05:
        return "0"
    if chance < 0.06:
        return None
    if chance < 0.0601:
        return "2521"
    return str(int(draw.expovariate(1 / 900.0)) + 1)


def properties(draw, plan, n):
    block, lot, both, mapped = lot_names(draw, plan, n)
    first = house_number(draw)
    street, kind = plan.streets[n], plan.street_types[n]
    if street == "UNKNOWN":
        kind, first = None, "0"
    if n == 4242:
        street, first, kind = "FOERSTER", "755", "ST"
    last = first if first is None or draw.random() < 0.8 else str(int(first) + 2)
    side = "E" if first is None or int(first) % 2 == 0 else "O"
    return (f'"MAPBLKLOT":"{mapped}","BLKLOT":"{both}","BLOCK_NUM":"{block}","LOT_NUM":"{lot}",'
            f'"FROM_ST":{quoted(first)},"TO_ST":{quoted(last)},"STREET":"{street}","ST_TYPE":{quoted(kind)},'
            f'"ODD_EVEN":"{side}"')


def outline(draw, plan, n):
    """The corners of a lot; the last is the first again."""
    x = -122.513 + 0.15 * (draw.random() + draw.random()) / 2
    y = 37.708 + 0.104 * draw.random()
    size = 5 + min(60, int(draw.lognormvariate(1.90, 0.95)))
    points = []
    for _ in range(size - 1):
        points.append((x + (draw.random() - 0.5) * 6e-4, y + (draw.random() - 0.5) * 6e-4))
    points.append(points[0])
    if n in plan.first_x:
        points[0] = (-122.42916360922355, points[0][1])
    if n in plan.some_x:
        points[1] = (-122.42916360922355, points[1][1])
    if n == plan.multi_y:
        points[2] = (points[2][0], 37.729900216217324)
    if n in plan.some_y:
        points[2] = (points[2][0], 37.807807921694092)
    return points


def point(corner):
    return '{"x":%r,"y":%r,"z":0.0}' % corner


def write(folder, count=COUNT):
    """Writes both files and returns their paths."""
    draw = random.Random(SEED)
    plan = Plan(draw, count)
    pairs_path = os.path.join(folder, "city_lots_pairs.jsonl")
    points_path = os.path.join(folder, "city_lots_points.jsonl")
    with open(pairs_path, "w") as pairs_file, open(points_path, "w") as points_file:
        for n in range(count):
            about = properties(draw, plan, n)
            multi = n in plan.multi
            kind = "MultiPolygon" if multi else "Polygon"
            corners = outline(draw, plan, n)
            head = f'{{"type":"Feature","properties":{{{about}}},"geometry":{{"type":"{kind}","coordinates":'
            opened, closed = ("[[[", "]]]") if multi else ("[[", "]]")
            pairs = ",".join("[%r,%r,0.0]" % corner for corner in corners)
            pairs_file.write(f"{head}{opened}{pairs}{closed}}}}}\n")
            # Points take more text, so fewer of them make events as long.
            fewer = corners[:max(4, len(corners) * 3 // 4)]
            points_file.write(f'{head}{opened}{",".join(map(point, fewer))}{closed},'
                              f'"firstCoordinates":{point(fewer[0])}}}}}\n')
    return pairs_path, points_path


if __name__ == "__main__":
    if len(sys.argv) not in (2, 3):
        sys.exit(__doc__)
    for path in write(sys.argv[1], int(sys.argv[2]) if len(sys.argv) == 3 else COUNT):
        print(path, os.path.getsize(path), "bytes")
